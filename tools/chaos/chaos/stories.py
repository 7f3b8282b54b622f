"""What one person wants of one run, and every answer they got. Plain data; nobody is asked here."""

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
"""Work that is lost with its worker is noticed within seconds; whether a call happened is asked of a person."""

BOTH = ["payload_review", "response_review"]

Channel = Literal["http", "socket"]
Action = Literal["start", "approve", "edit", "reject", "retry"]


@dataclass(frozen=True)
class Answer:
    """One answer, as it came: `status` is HTTP's, over the socket 200 or 409."""

    status: int
    body: dict[str, Any]
    at: float = field(default_factory=time.monotonic)

    @property
    def accepted(self) -> bool:
        """Whether it says that the request took effect."""
        return self.status in (200, 201)

    @property
    def is_final(self) -> bool:
        """Whether it is the truth; otherwise one asks again: it is late, or something is away."""
        return self.status not in (202, 500, 502, 503, 504)


@dataclass
class Asked:
    """One request, however often it was sent. `key` stands in everything that it leaves: comments, reasons, the prompt."""

    key: str
    action: Action
    channel: Channel
    actor: str
    body: dict[str, Any]
    checkpoint_id: str | None = None
    expected: str = "accepted"
    """Or the code of the refusal that is asked for on purpose."""
    answer: Answer | None = None
    said: list[Answer] = field(default_factory=list)
    sent: int = 0
    began: float = field(default_factory=time.monotonic)


@dataclass
class Story:
    """One run."""

    number: int
    token: str
    session: str
    padding: int = 0
    """Characters that its prompt has more than it needs."""
    run_id: str | None = None
    asked: list[Asked] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """The checkpoints that its watcher was shown."""
    state: str | None = None
    """How it ended, as its watcher was told."""
    moments: list[float] = field(default_factory=list)
    """When its person began, and was told something."""

    def note(self) -> None:
        """Note that its person was told something now."""
        self.moments.append(time.monotonic())

    @property
    def start(self) -> Asked:
        """The request that started it."""
        return self.asked[0]

    @property
    def prompt(self) -> str:
        """What the provider is asked; no other run asks it."""
        return self.token + " " * self.padding

    @property
    def ends(self) -> str:
        """How it is to end."""
        return "failed" if self.number % 10 == 6 else "completed"

    def begin(self) -> Asked:
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

    def decide(self, checkpoint: dict[str, Any]) -> list[Asked]:
        """Return what is said about a checkpoint, in order: mostly one decision, sometimes others that are to be refused."""
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

    def _decision(self, step: str, checkpoint: dict[str, Any]) -> Asked:
        if step == "response_review" and self.ends == "failed":
            return self._about("no", "reject", "ann", checkpoint, {"reason": "wrong"})
        if step == "payload_review" and self.number % 10 == 8:
            return self._about("so", "edit", "ann", checkpoint, {"edits": {"temperature": 0.5}})
        return self._about("yes", "approve", "ann", checkpoint, {})

    def _about(self, name: str, action: Action, actor: str, checkpoint: dict[str, Any], more: dict[str, Any]) -> Asked:
        name = f"{name}-{checkpoint['checkpoint_id'][:8]}"
        channel: Channel = "socket" if (self.number // 2 + len(self.asked)) % 2 else "http"
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
    ) -> Asked:
        about = checkpoint["checkpoint_id"] if checkpoint else None
        asked = Asked(f"{self.token}:{name}", action, channel, actor, body, about)
        self.asked.append(asked)
        return asked
