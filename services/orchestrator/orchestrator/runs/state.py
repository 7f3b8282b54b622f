"""What the core knows of a run: its public view, and what only deciding needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from contracts.providers.call import CallIntent, Execution, Failure, Issue, Preparation
from contracts.providers.routing import Candidate
from contracts.providers.signals import COST_CHECK
from contracts.runs.config import HitlConfig, Step
from contracts.runs.requests import RunRequest
from contracts.runs.views import Approval, RunView


class WorkKind(StrEnum):
    """The two things a worker is asked to do."""

    PREPARE = "prepare"
    CALL = "call"


class Work(NamedTuple):
    """Work that the run waits for: in a worker's hands until `lease_until`, or to be ordered at `retry_at`.

    `doubted`: it was ordered twice, since nobody had said anything of it.
    """

    kind: WorkKind
    work_id: str
    attempt: int
    lease_until: datetime | None = None
    retry_at: datetime | None = None
    doubted: bool = False

    @property
    def is_running_call(self) -> bool:
        """Whether a worker may be making a call at this moment."""
        return self.kind is WorkKind.CALL and self.lease_until is not None


class Noted(NamedTuple):
    """A call that a provider took and whose end is not known: it can be asked about, with the payload that it was made with."""

    provider_call_id: str
    payload_sha256: str | None
    work_id: str
    attempt: int


class Failed(NamedTuple):
    """An attempt that failed and has not been dealt with."""

    work: Work
    failure: Failure


class Answered(NamedTuple):
    """A command that took effect: the version it led to, and the digest of the request it came from."""

    version: int
    request_sha256: str | None


@dataclass(frozen=True)
class Run:
    """One run at one version.

    `intent`, `payload` and `response` are as they stand now, changed by people or policy; `cleared` are the steps that
    were approved or passed for them; `approved_sha256` is what a person approved as payload, and `approved_for` for whom, None where policy did;
    `payload_sha256` is what the last call was ordered with; `stopping` is a call that goes on though the run is over;
    `tried` is what a route chose before and fell back from.
    """

    view: RunView
    request: RunRequest
    tenant: str
    intent: CallIntent
    work: Work | None = None
    stopping: Work | None = None
    failed: Failed | None = None
    preparation: Preparation | None = None
    tried: tuple[Candidate, ...] = ()
    payload: dict[str, Any] | None = None
    issues: tuple[Issue, ...] = ()
    approved_sha256: str | None = None
    approved_for: Candidate | None = None
    payload_sha256: str | None = None
    noted: Noted | None = None
    execution: Execution | None = None
    response: dict[str, Any] | None = None
    cleared: frozenset[Step] = frozenset()
    paused_at: datetime | None = None
    decided: Mapping[UUID, Approval] = field(default_factory=dict)
    answered: Mapping[UUID, Answered] = field(default_factory=dict)

    @property
    def run_id(self) -> UUID:
        """The run's id."""
        return self.view.run_id

    @property
    def version(self) -> int:
        """The version of the last event, counted from 1."""
        return self.view.version

    @property
    def resumable(self) -> str | None:
        """The provider's id of the call that the payload was made with before, if its end is not known."""
        noted = self.noted
        return noted.provider_call_id if noted and noted.payload_sha256 == self.payload_sha256 else None

    @property
    def candidate(self) -> Candidate | None:
        """For whom the payload was prepared."""
        prepared = self.preparation
        return None if prepared is None else Candidate(provider=prepared.provider, model=prepared.model)

    @property
    def is_over_budget(self) -> bool:
        """Whether whoever approves the payload approves what a budget does not cover, or may not."""
        return self.preparation is not None and any(
            finding.check == COST_CHECK for finding in self.preparation.signals.forced
        )

    @property
    def config(self) -> HitlConfig:
        """How this run is reviewed."""
        return self.request.hitl_config

    def changed(self, **changes: Any) -> Run:
        """Return the run with other values: `dataclasses.replace`, at a tenth of its price."""
        run = object.__new__(Run)
        run.__dict__.update(self.__dict__, **changes)
        return run

    def next_work_id(self) -> str:
        """Return the id for work that the next event orders; retries keep it and count attempts."""
        return f"{self.run_id}.{self.version + 1}"
