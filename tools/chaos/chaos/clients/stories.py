"""One run as its client sees it: the requests to make, and every answer. Plain data, no I/O."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

HITL = {
    "policy": "require_human",
    "timeout_seconds": 86_400,
    "lease_seconds": 3,
    "max_attempts": 20,
}
"""Short leases, so that a lost worker is noticed within seconds; a person decides whether to repeat an uncertain call."""

BOTH = ["payload_review", "response_review"]

Channel = Literal["http", "socket"]
Action = Literal["start", "approve", "edit", "reject", "retry"]


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
    answer: Answer | None = None
    answers: list[Answer] = field(default_factory=list)
    sent: int = 0
    began: float = field(default_factory=time.monotonic)


REVIEWER = "ann"
"""Who decides, and whose sockets the clients open."""

PEOPLE = {"client": ("requester",), REVIEWER: ("reviewer",), "bob": ("reviewer",), "lea": ("admin",)}
"""Who asks for anything, with the roles for it."""


@dataclass
class RunStory:
    """One run."""

    number: int
    token: str
    session: str
    padding: int = 0
    """Spaces added to its prompt."""
    run_id: str | None = None
    requests: list[Request] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """The checkpoints that were pushed to its watcher."""
    state: str | None = None
    """Its final state, as pushed to its watcher."""
    moments: list[float] = field(default_factory=list)
    """The times of its start, answers and pushes."""

    def note(self) -> None:
        """Note an answer or a push now."""
        self.moments.append(time.monotonic())

    @property
    def start(self) -> Request:
        """The request that started it."""
        return self.requests[0]

    @property
    def prompt(self) -> str:
        """Its prompt, which no other run has."""
        return self.token + " " * self.padding

    @property
    def ends(self) -> str:
        """The state that its decisions lead to."""
        return "cancelled" if self.number % 10 == 6 else "completed"

    def begin(self) -> Request:
        """Return the request that starts it."""
        steps = BOTH[:1] if self.number % 10 == 9 else BOTH
        body = {
            "prompt": self.prompt,
            "provider": "openai",
            "model": "fake-1",
            "operation": "text",
            "session_id": self.session,
            "user_id": f"user-{self.session}",
            "hitl_config": {**HITL, "allowed_steps": steps},
        }
        return self._ask("start", "start", "http", "client", body)

    def decide(self, checkpoint: dict[str, Any]) -> list[Request]:
        """Return the decisions about a checkpoint, in order: mostly one, sometimes others that must be refused."""
        step, number = checkpoint["step"], self.number % 10
        if step == "error_review":
            name = f"retry-{checkpoint['checkpoint_id'][:8]}"
            body = {"reason": f"{self.token}:{name}", "actor": "ann"}
            return [self._ask(name, "retry", "http", "ann", body, checkpoint)]
        if number != 7:
            return [self._decision(step, checkpoint)]
        stale = self._about("stale", "approve", "bob", checkpoint, {"subject_sha256": "0" * 64})
        stale.expected = "subject_changed"
        decision = self._decision(step, checkpoint)
        second = self._about("second", "reject", "bob", checkpoint, {"reason": "too late"})
        second.expected = "checkpoint_already_decided"
        return [stale, decision, second]

    def _decision(self, step: str, checkpoint: dict[str, Any]) -> Request:
        if step == "response_review" and self.ends == "cancelled":
            return self._about("no", "reject", "ann", checkpoint, {"reason": "wrong"})
        if step == "payload_review" and self.number % 10 == 8:
            return self._about("so", "edit", "ann", checkpoint, {"edits": {"temperature": 0.5}})
        return self._about("yes", "approve", "ann", checkpoint, {})

    def _about(
        self, name: str, action: Action, actor: str, checkpoint: dict[str, Any], more: dict[str, Any]
    ) -> Request:
        name = f"{name}-{checkpoint['checkpoint_id'][:8]}"
        channel: Channel = "socket" if (self.number // 2 + len(self.requests)) % 2 else "http"
        body = {
            "checkpoint_id": checkpoint["checkpoint_id"],
            "subject_sha256": checkpoint["subject_sha256"],
            "comment": f"{self.token}:{name}",
            "actor": actor,
            **more,
        }
        return self._ask(name, action, channel, actor, body, checkpoint)

    def _ask(
        self,
        name: str,
        action: Action,
        channel: Channel,
        actor: str,
        body: dict[str, Any],
        checkpoint: dict[str, Any] | None = None,
    ) -> Request:
        about = checkpoint["checkpoint_id"] if checkpoint else None
        request = Request(f"{self.token}:{name}", action, channel, actor, body, about)
        self.requests.append(request)
        return request
