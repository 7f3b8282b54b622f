"""The people at one checkpoint of one run: makes the requests of a plan, and says what the plan waits for. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
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
        self._began = self._told_at = time.monotonic()
        self._told = datetime.fromisoformat(checkpoint["opened_at"])

    @property
    def open_for(self) -> float:
        """For how many seconds its people have known of it."""
        return time.monotonic() - self._began

    @property
    def absent(self) -> str:
        """The person whose absence concerns this run alone."""
        return f"absent-{self._token}"

    @property
    def guest(self) -> str:
        """The person whom no key but a token identifies, and who acts in this run alone."""
        return f"guest-{self._token}"

    def after(self, seconds: float) -> str:
        """Return the date so many seconds from now, by the services' clock as an answer told it last."""
        passed = timedelta(seconds=time.monotonic() - self._told_at)
        return (self._told + passed + timedelta(seconds=seconds)).isoformat()

    def sees(self, answer: Answer) -> None:
        """Take over the time that an answer tells, and the bytes that it shows, so that later votes are about them."""
        checkpoint = answer.body.get("checkpoint")
        self._subject = checkpoint["subject_sha256"] if checkpoint else self._subject
        if "updated_at" in answer.body:
            self._told, self._told_at = datetime.fromisoformat(answer.body["updated_at"]), answer.at

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

    def vote_as(self, groups: tuple[str, ...], *or_else: str, expected: str = "accepted") -> Request:
        """Let the guest vote, by a token that says that it is a member of these groups."""
        request = self.vote(self.guest, "approve", *or_else, expected=expected, channel="http")
        request.groups = groups
        return request

    def retry(self, who: str, *or_else: str) -> Request:
        """Repeat a call whose outcome is unknown. Its reason is its trace."""
        request = self._ask("retry", who, or_else, "accepted", "http", {"reason": self._key("retry", who)})
        del request.body["checkpoint_id"]
        return request

    def ask(self, action: TaskRequest, who: str, /, *or_else: str, expected: str = "accepted", **body: Any) -> Request:
        """Do something about the task, or hold its run."""
        request = self._ask(action, who, or_else, expected, "http", body)
        if action == "comment":
            request.body = {"text": request.key, "actor": who, **body}
        if action in ("pause", "resume"):
            del request.body["checkpoint_id"]
        return request

    def hand_over(self, who: str, to: str) -> Request:
        """Delegate the task for good: it is not to be given back."""
        request = self.ask("delegate", who, to={"user": to})
        request.body["return"] = False
        return request

    def absence(self, who: str, substitute: str, until: str) -> Request:
        """Say that another person acts in the place of the absent one. A date that passed before it came is refused."""
        request = self._ask("absence", who, ("validation_failed",), "accepted", "http", {})
        request.body = {"person": self.absent, "substitute": substitute, "until": until}
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
