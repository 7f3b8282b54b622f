"""The state of a run: its public view, and the facts that only deciding needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from contracts.identity import Principal
from contracts.json_values import JsonObject
from contracts.notices import Parent
from contracts.providers.call import CallIntent, Execution, Failure, Issue, Preparation
from contracts.providers.routing import Candidate
from contracts.providers.signals import COST_CHECK, Reason
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.checkpoints import Approval
from contracts.runs.config import HitlConfig, Step
from contracts.runs.requests import RunRequest
from contracts.runs.tasks.task import Task
from contracts.runs.views import RunView
from orchestrator.aggregate import Answered

MOST_EVENTS = 1000
"""Events of a run from which on it can only come to its end: each reader of the run folds all of them."""


class OrderKind(StrEnum):
    """The kinds of order that workers carry out."""

    PREPARE = "prepare"
    CHECK = "check"
    CALL = "call"


class Attempt(NamedTuple):
    """One attempt of an order: leased to a worker until `lease_until`, or to be ordered at `retry_at`."""

    kind: OrderKind
    work_id: str
    """The order's id. All attempts of one order share it."""

    number: int
    """Counted from 1."""

    lease_until: datetime | None = None
    retry_at: datetime | None = None
    doubted: bool = False
    """Whether the attempt was ordered a second time, because its lease ended without an answer."""

    in_one: bool = False
    """Whether its worker prepares and calls: it may be calling while it is to prepare, and needs no order of its own to call."""

    @property
    def may_call(self) -> bool:
        """Whether its worker makes a call."""
        return self.kind is OrderKind.CALL or self.in_one

    @property
    def is_made_in_one(self) -> bool:
        """Whether the worker that prepared it makes the call: nobody is to be asked for it, until it is doubted."""
        return self.kind is OrderKind.CALL and self.in_one and not self.doubted

    @property
    def is_running_call(self) -> bool:
        """Whether a worker may be making a call now."""
        return self.may_call and self.lease_until is not None

    def is_named_by(self, command: c.FromWorker | c.ExpireLease | c.RetryWork) -> bool:
        """Return whether `command` is about this attempt of this order."""
        return (self.work_id, self.number) == (command.work_id, command.attempt)


class Noted(NamedTuple):
    """A call that a provider accepted and whose end is unknown. The provider can be asked about it by its id."""

    provider_call_id: str
    payload_sha256: str | None
    """The digest of the payload that the call was made with."""

    work_id: str
    attempt: int


class Failed(NamedTuple):
    """A failed attempt that the flow has not dealt with yet."""

    attempt: Attempt
    failure: Failure

    def as_error(self) -> e.RunError:
        """Return the run's error for the case that this failure ends the run."""
        failure, number = self.failure, self.attempt.number
        return e.RunError(
            code=failure.code,
            message=failure.message,
            issues=failure.issues,
            attempts=number,
            received=failure.received,
        )


class Revision(NamedTuple):
    """What people have changed of an open checkpoint's subject, while others are still to approve it."""

    subject: JsonObject
    """The subject as it was shown first."""

    edits: JsonObject
    diff: tuple[e.Change, ...]


class Closed(NamedTuple):
    """The last checkpoint that was closed, as far as a run that is tried again needs it."""

    step: Step
    task: Task

    @property
    def is_shared(self) -> bool:
        """Whether it was an error review that several had to decide."""
        return self.step is Step.ERROR_REVIEW and not self.task.is_plain


class Comment(NamedTuple):
    """A comment as far as deciding needs it."""

    by: str
    checkpoint_id: UUID | None
    deleted: bool = False


class Changes(TypedDict, total=False):
    """The fields of a run that an event may change, with their new values."""

    view: RunView
    intent: CallIntent
    attempt: Attempt | None
    stopping: Attempt | None
    failed: Failed | None
    preparation: Preparation | None
    tried: tuple[Candidate, ...]
    payload: dict[str, Any] | None
    issues: tuple[Issue, ...]
    approved_sha256: str | None
    approved_for: Candidate | None
    payload_sha256: str | None
    noted: Noted | None
    execution: Execution | None
    response: dict[str, Any] | None
    cleared: frozenset[Step]
    unchecked: Step | None
    asked_again: tuple[Reason, ...]
    paused_at: datetime | None
    decided: Mapping[UUID, Approval]
    answered: Mapping[UUID, Answered]
    newer_kind: str | None
    ended: int | None
    revision: Revision | None
    editors: Mapping[Step, str]
    drafts: frozenset[str]
    comments: Mapping[UUID, Comment]
    readers: tuple[str, ...]
    closed: Closed | None
    ended_with: Failed | None


@dataclass(frozen=True)
class Run:
    """One run at one version."""

    view: RunView
    """The run as outsiders see it."""

    request: RunRequest
    """The request that started the run. It never changes."""

    tenant: str

    requester: Principal | None
    """Who started the run; None where authentication was off."""

    intent: CallIntent
    """The intent as it is now: the request's, or as a person edited it."""

    parent: Parent | None = None
    """The aggregate that started the run as a child and is told of its end."""

    attempt: Attempt | None = None
    """The attempt that the run waits for."""

    stopping: Attempt | None = None
    """A call that goes on although the run is over. Its cost is still to be recorded."""

    failed: Failed | None = None
    """The last failure, until the flow or a person has dealt with it."""

    preparation: Preparation | None = None
    """The worker's preparation of `intent`."""

    tried: tuple[Candidate, ...] = ()
    """The candidates that the route chose before and fell back from."""

    payload: dict[str, Any] | None = None
    """The payload as it is now: prepared, fixed by policy or edited by a person."""

    issues: tuple[Issue, ...] = ()
    """The open issues of `payload`."""

    approved_sha256: str | None = None
    """The digest of the payload that a person approved. None if policy let it pass."""

    approved_for: Candidate | None = None
    """The candidate that the payload was approved for. None if policy let it pass."""

    payload_sha256: str | None = None
    """The digest of the payload that the last call was ordered with."""

    noted: Noted | None = None
    """The call that the provider accepted and that has no known end yet."""

    execution: Execution | None = None
    """The worker's answer to the call."""

    response: dict[str, Any] | None = None
    """The response as it is now: the provider's, or as a person edited it."""

    cleared: frozenset[Step] = frozenset()
    """The steps that were approved or passed for what stands now."""

    unchecked: Step | None = None
    """The step whose subject a person edited, until it is priced and checked again."""

    asked_again: tuple[Reason, ...] = ()
    """Why an edited subject goes to a person again, until the review opens."""

    paused_at: datetime | None = None

    decided: Mapping[UUID, Approval] = field(default_factory=dict)
    """The decision on each decided checkpoint, by the checkpoint's id."""

    answered: Mapping[UUID, Answered] = field(default_factory=dict)
    """The commands that took effect, by their id."""

    newer_kind: str | None = None
    """The first kind in the history that this version does not know. Then only the view is kept up to date."""

    ended: int | None = None
    """The version of the event that ended the run."""

    revision: Revision | None = None
    """The changes of the open checkpoint's subject that wait for further approvals."""

    editors: Mapping[Step, str] = field(default_factory=dict)
    """Who edited last what each step shows, as long as it is what came of that edit."""

    drafts: frozenset[str] = frozenset()
    """The persons who have a draft at the open checkpoint."""

    comments: Mapping[UUID, Comment] = field(default_factory=dict)
    """The comments, by id."""

    readers: tuple[str, ...] = ()
    """The entries of those who may read it (see `contracts.runs.tasks.readers`)."""

    closed: Closed | None = None
    """The last checkpoint that was closed."""

    ended_with: Failed | None = None
    """The failure that the run ended with."""

    @property
    def run_id(self) -> UUID:
        """The run's id."""
        return self.view.run_id

    @property
    def version(self) -> int:
        """The version of the last event, counted from 1."""
        return self.view.version

    @property
    def updated_at(self) -> datetime:
        """When the last event happened."""
        return self.view.updated_at

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.view.is_over

    @property
    def resumable(self) -> str | None:
        """The provider's id of an unfinished call that was made with the payload of the last order."""
        noted = self.noted
        return noted.provider_call_id if noted and noted.payload_sha256 == self.payload_sha256 else None

    @property
    def candidate(self) -> Candidate | None:
        """The provider and model that the payload was prepared for."""
        prepared = self.preparation
        return None if prepared is None else Candidate(provider=prepared.provider, model=prepared.model)

    @property
    def is_over_budget(self) -> bool:
        """Whether the cost check asks for a person: an approval of the payload then approves the excess too."""
        return self.preparation is not None and any(
            finding.check == COST_CHECK for finding in self.preparation.signals.forced
        )

    @property
    def config(self) -> HitlConfig:
        """The run's review configuration."""
        return self.request.hitl_config

    def changed(self, changes: Changes) -> Run:
        """Return the run with other values: `dataclasses.replace` at a tenth of its price, checked by the type of `changes`."""
        run = object.__new__(Run)
        members = run.__dict__
        members.update(self.__dict__)
        members.update(changes)
        return run

    def next_work_id(self) -> str:
        """Return the id of an order that the next event gives. Retries keep it and count attempts."""
        return f"{self.run_id}.{self.version + 1}"
