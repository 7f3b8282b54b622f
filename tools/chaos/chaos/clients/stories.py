"""One run as its client sees it: the requests to make, and every answer. Plain data, no I/O."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.clients.desk import Desk, Steps
from chaos.clients.people import REQUESTER
from chaos.clients.plans.plan import GONE, Plan
from chaos.clients.requests import Request

HITL = {
    "policy": "require_human",
    "timeout_seconds": 86_400,
    "lease_seconds": 3,
    "max_attempts": 20,
}
"""Short leases, so that a lost worker is noticed within seconds; a person decides whether to repeat an uncertain call."""

BOTH = ["payload_review", "response_review"]


@dataclass
class RunStory:
    """One run."""

    number: int
    token: str
    session: str
    padding: int = 0
    """Spaces added to its prompt."""
    plan: Plan | None = None
    """What its people do, where its review has rules."""
    run_id: str | None = None
    requests: list[Request] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """The checkpoints that were pushed to its watcher."""
    pushed: set[int] = field(default_factory=set)
    """The versions of its task's events that were pushed to its watcher."""
    caught_up: bool = False
    """A snapshot came in place of events."""
    version: int = 0
    """The last version that an answer or a push named."""
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
    def absences(self) -> list[Request]:
        """The requests that said who is absent, and who stands in."""
        return [request for request in self.requests if request.action == "absence"]

    @property
    def prompt(self) -> str:
        """Its prompt, which no other run has."""
        return self.token + " " * self.padding

    @property
    def ends(self) -> tuple[str, ...]:
        """The states that its decisions may lead to."""
        if self.plan is not None:
            return self.plan.ends
        return ("cancelled",) if self.number % 10 == 6 else ("completed",)

    def begin(self) -> Request:
        """Return the request that starts it."""
        body = {
            "prompt": self.prompt,
            "provider": "openai",
            "model": "fake-1",
            "operation": "text",
            "session_id": self.session,
            "user_id": f"user-{self.session}",
            "hitl_config": self._config(),
        }
        self.requests.append(Request(f"{self.token}:start", "start", "http", REQUESTER, body))
        return self.start

    def steps(self, checkpoint: Mapping[str, Any]) -> Steps:
        """Return what its people do at a checkpoint, step by step."""
        desk = Desk(self.token, self.number, checkpoint, self.requests)
        if desk.step == "error_review":
            ends_by_itself = self.plan is not None and "failed" in self.plan.ends
            yield [desk.retry("ann", *(GONE if ends_by_itself else ()))]
        elif self.plan is not None:
            yield from self.plan.steps(desk)
        else:
            yield from self._decisions(desk)

    def _config(self) -> dict[str, Any]:
        if self.plan is None:
            return {**HITL, "allowed_steps": BOTH[:1] if self.number % 10 == 9 else BOTH}
        rules = {"reviews": {BOTH[0]: dict(self.plan.rules)}} if self.plan.rules else {}
        return {**HITL, "allowed_steps": BOTH[:1], "timeout_seconds": self.plan.timeout_seconds, **rules}

    def _decisions(self, desk: Desk) -> Steps:
        """One decision, and sometimes others that must be refused."""
        if self.number % 10 == 7:
            yield [desk.vote("bob", expected="subject_changed", subject_sha256="0" * 64)]
        yield [self._decision(desk)]
        if self.number % 10 == 7:
            yield [desk.vote("bob", "reject", expected="checkpoint_already_decided", reason="too late")]

    def _decision(self, desk: Desk) -> Request:
        if desk.step == "response_review" and self.ends == ("cancelled",):
            return desk.vote("ann", "reject", reason="wrong")
        if desk.step == "payload_review" and self.number % 10 == 8:
            return desk.vote("ann", "edit", edits={"temperature": 0.5})
        return desk.vote("ann")
