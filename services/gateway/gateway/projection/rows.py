"""The read model's fold: a batch of events in, what changes in the tables out. Pure: knows no Kafka, no PostgreSQL and no clock.

A row stands on an unbroken stretch of events, 1 to its version. Events at or below the version are skipped, so that any
batch can come again. Where one is missing, the record has it: what is published was written there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.event_header import CLOSING, DECIDED, ESCALATED, OPENED, Heading
from contracts.runs.views import State

_RESUMED = e.RunResumed.kind
_RETRIED = e.RunRetried.kind


class Waiting(NamedTuple):
    """A checkpoint that waits for a person."""

    checkpoint_id: UUID
    step: Step
    subject_sha256: str
    opened_at: datetime
    expires_at: datetime


class Standing(NamedTuple):
    """How a run stands at a version: its row."""

    run_id: UUID
    tenant: str
    version: int
    state: State
    session_id: str | None
    user_id: str | None
    created_at: datetime
    updated_at: datetime
    waits: Waiting | None = None

    @classmethod
    def first(cls, heading: Heading) -> Self:
        """Return how a run stands after its first event."""
        return cls(
            heading.run_id,
            heading.tenant,
            heading.version,
            heading.state_after(State.CREATED),
            heading.session_id,
            heading.user_id,
            heading.at,
            heading.at,
            _waits(None, heading),
        )

    def after(self, heading: Heading) -> Self:
        """Return how the run stands after its next event."""
        return self._replace(
            version=heading.version,
            state=heading.state_after(self.state),
            updated_at=heading.at,
            waits=_waits(self.waits, heading),
        )


class Moved(NamedTuple):
    """A run that a batch moved on, and how it was found: what is stored must still be that."""

    found: Standing | None
    standing: Standing

    @property
    def closed(self) -> Waiting | None:
        """The checkpoint that waited before and waits no longer."""
        waited, waits = self.found.waits if self.found else None, self.standing.waits
        return None if waited is None or (waits and waits.checkpoint_id == waited.checkpoint_id) else waited

    @property
    def opened(self) -> Waiting | None:
        """The checkpoint that waits now, if it did not wait just so before."""
        waited, waits = self.found.waits if self.found else None, self.standing.waits
        return None if waits == waited else waits


class Decision(NamedTuple):
    """A decision that a batch recorded, in its place."""

    run_id: UUID
    version: int
    checkpoint_id: UUID
    tenant: str
    step: Step
    action: str
    actor: str
    at: datetime
    subject_sha256: str


class Known(NamedTuple):
    """What is known of a run before a batch: how it stands, and the events that the record holds beyond."""

    standing: Standing | None = None
    beyond: tuple[Heading, ...] = ()


@dataclass(slots=True)
class Changes:
    """What a batch changes in the tables. `gaps` are the runs whose next event is not there, and the version that is missing."""

    moved: dict[UUID, Moved] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    gaps: dict[UUID, int] = field(default_factory=dict)
    news: int = 0


def known_at(version: int, history: Iterable[Heading]) -> Known:
    """Return what is known of a run whose row is at `version`, of its whole history."""
    standing, beyond = None, []
    for heading in history:
        if heading.version > version:
            beyond.append(heading)
        else:
            standing = standing.after(heading) if standing else Standing.first(heading)
    return Known(standing, tuple(beyond))


def project_batch(known: Mapping[UUID, Known], batch: Sequence[Heading]) -> Changes:
    """Fold `batch` onto what is known of its runs. Runs that are not known begin with nothing."""
    arrived: dict[UUID, list[Heading]] = {run_id: [*known[run_id].beyond] for run_id in known}
    for heading in batch:
        arrived.setdefault(heading.run_id, []).append(heading)
    changes = Changes()
    for run_id, headings in arrived.items():
        _project_run(known.get(run_id, _NOTHING).standing, headings, changes)
    return changes


_NOTHING = Known()


def _project_run(found: Standing | None, headings: list[Heading], changes: Changes) -> None:
    standing = found
    for heading in sorted(headings, key=_version):
        reached = standing.version if standing else 0
        if heading.version <= reached:
            continue
        if heading.version > reached + 1:
            changes.gaps[heading.run_id] = reached + 1
            break
        changes.news += 1
        if decision := _decision(standing, heading):
            changes.decisions.append(decision)
        standing = standing.after(heading) if standing else Standing.first(heading)
    if standing is not None and standing is not found:
        changes.moved[standing.run_id] = Moved(found, standing)


def _version(heading: Heading) -> int:
    return heading.version


def _waits(waited: Waiting | None, heading: Heading) -> Waiting | None:
    kind, facts = heading.kind, heading.data
    if kind == OPENED:
        match (facts.checkpoint_id, facts.step, facts.subject_sha256, facts.expires_at):
            case (UUID() as checkpoint_id, Step() as step, str() as subject_sha256, datetime() as expires_at):
                return Waiting(checkpoint_id, step, subject_sha256, heading.at, expires_at)
        raise AssertionError("a heading has what its kind needs")
    if waited is None or kind in CLOSING:
        return None
    if kind in (ESCALATED, _RESUMED) and facts.expires_at is not None:
        return waited._replace(expires_at=facts.expires_at)
    return waited


def _decision(standing: Standing | None, heading: Heading) -> Decision | None:
    facts = heading.data
    action, step, seen = DECIDED.get(heading.kind), facts.step, facts.subject_sha256
    if heading.kind == _RETRIED:
        waited = standing.waits if standing else None
        action, step, seen = "retry", Step.ERROR_REVIEW, waited.subject_sha256 if waited else ""
    if action is None or facts.checkpoint_id is None or step is None or seen is None:
        return None
    place = heading.run_id, heading.version, facts.checkpoint_id, heading.tenant
    return Decision(*place, step, action, heading.actor, heading.at, seen)
