"""The people at one checkpoint of one run: makes the requests of a plan, and says what the plan waits for. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from chaos.clients.requests import Action, Answer, Channel, Decision, Request, TaskRequest


@dataclass(frozen=True)
class Pause:
    """Its people do nothing for a while: less than a lease, or until about the end of a time limit."""

    seconds: float


@dataclass(frozen=True)
class Until:
    """Its people wait until the task is so. A push tells when to look."""

    holds: Callable[[Mapping[str, Any]], bool]


Step = list[Request] | Pause | Until
"""Requests that are sent at once, or a time to wait."""

Steps = Generator[Step, list[Answer], None]
"""A plan that goes on: it is sent the answers to its last step."""


class Desk:
    """The people of one checkpoint."""

    def __init__(self, token: str, number: int, checkpoint: Mapping[str, Any], requests: list[Request]) -> None:
        """Add each new request to `requests`, which are all of the run's."""
        self.number = number
        self.step = str(checkpoint["step"])
        self._token = token
        self._checkpoint_id = str(checkpoint["checkpoint_id"])
        self._subject = str(checkpoint["subject_sha256"])
        self._requests = requests
        self._began = time.monotonic()

    @property
    def open_for(self) -> float:
        """For how many seconds its people have known of it."""
        return time.monotonic() - self._began

    def sees(self, answer: Answer) -> None:
        """Take over the bytes that an answer shows, so that later votes are about them."""
        checkpoint = answer.body.get("checkpoint")
        self._subject = checkpoint["subject_sha256"] if checkpoint else self._subject

    def vote(
        self,
        who: str,
        action: Decision = "approve",
        *or_else: str,
        expected: str = "accepted",
        channel: Channel | None = None,
        **more: Any,
    ) -> Request:
        """Decide, or vote where several must agree. Its comment is its trace."""
        body = {"subject_sha256": self._subject, "comment": self._key(action, who), **more}
        return self._ask(action, who, or_else, expected, channel or self._channel(action), body)

    def retry(self, who: str, *or_else: str) -> Request:
        """Repeat a call whose outcome is unknown. Its reason is its trace."""
        request = self._ask("retry", who, or_else, "accepted", "http", {"reason": self._key("retry", who)})
        del request.body["checkpoint_id"]
        return request

    def ask(self, action: TaskRequest, who: str, /, *or_else: str, expected: str = "accepted", **body: Any) -> Request:
        """Do something about the task."""
        request = self._ask(action, who, or_else, expected, "http", body)
        if action == "comment":
            request.body = {"text": request.key, "actor": who, **body}
        return request

    def _ask(
        self,
        action: Action,
        who: str,
        or_else: tuple[str, ...],
        expected: str,
        channel: Channel,
        body: dict[str, Any],
    ) -> Request:
        about = self._checkpoint_id
        said = {"checkpoint_id": about, "actor": who, **body}
        request = Request(self._key(action, who), action, channel, who, said, about, expected, or_else)
        self._requests.append(request)
        return request

    def _channel(self, action: Action) -> Channel:
        is_socket = action != "bulk" and (self.number // 2 + len(self._requests)) % 2
        return "socket" if is_socket else "http"

    def _key(self, action: Action, who: str) -> str:
        return f"{self._token}:{len(self._requests)}-{action}-{who}-{self._checkpoint_id[:8]}"
