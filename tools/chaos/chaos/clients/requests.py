"""Requests and answers as clients see them. Plain data, no I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Channel = Literal["http", "socket"]

Decision = Literal["approve", "edit", "reject", "retry", "bulk"]
"""Requests that decide; `bulk` approves, in one request with others."""

OfTask = Literal["claim", "renew", "release", "assign", "delegate", "return", "escalate", "reschedule"]
"""Requests that move a task; `renew` claims what its person may hold already."""

TaskRequest = OfTask | Literal["comment", "draft", "pause", "resume", "absence"]
"""Requests about a task, its run or its people, which decide nothing."""

Action = Literal["start"] | Decision | TaskRequest

_PATHS = {"renew": "claim", "comment": "comments"}


@dataclass(frozen=True)
class Answer:
    """One answer; `status` is that of HTTP, over the socket 200 or 409."""

    status: int
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)

    @property
    def accepted(self) -> bool:
        """True if the request took effect."""
        return self.status in (200, 201)

    @property
    def is_final(self) -> bool:
        """True if it is final; otherwise the request is sent again: it is late, or a service is unavailable."""
        return self.status not in (202, 500, 502, 503, 504)

    @property
    def outcome(self) -> str:
        """`accepted`, or the code of the refusal."""
        return "accepted" if self.accepted else str(self.body.get("code"))


@dataclass
class Request:
    """One request, however often it was sent. `key` is in every trace that it leaves: comments, reasons, the prompt."""

    key: str
    action: Action
    channel: Channel
    actor: str
    body: dict[str, Any]
    checkpoint_id: str | None = None
    expected: str = "accepted"
    """Or the code of the refusal that the request provokes."""
    or_else: tuple[str, ...] = ()
    """The other outcomes that are right where requests race with each other or with a clock."""
    groups: tuple[str, ...] | None = None
    """Of the token that it brings in place of a key."""
    answer: Answer | None = None
    answers: list[Answer] = field(default_factory=list)
    sent: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The outcomes that are right."""
        return (self.expected, *self.or_else)

    @property
    def took_effect(self) -> bool:
        """Whether its client was told that it was accepted."""
        return self.answer is not None and self.answer.accepted

    @property
    def is_about_task(self) -> bool:
        """Whether it claims, moves or comments, and decides nothing."""
        return self.action not in ("start", *get_args(Decision))

    @property
    def leaves_event(self) -> bool:
        """Whether it leaves an event in its run's history, once its client was told that it was accepted."""
        return self.took_effect and self.action != "absence"

    @property
    def method(self) -> Literal["POST", "PUT"]:
        """The method of HTTP."""
        return "PUT" if self.action == "draft" else "POST"

    def path(self, run_id: str) -> str:
        """Return the path of HTTP."""
        if self.action == "absence":
            return "/hitl/absences"
        return f"/hitl/runs/{run_id}/{_PATHS.get(self.action, self.action)}"
