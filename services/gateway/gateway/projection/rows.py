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

from contracts.runs.config import Step
from contracts.runs.event_effects import State
from contracts.runs.event_header import EventHeader


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
    def first(cls, header: EventHeader) -> Self:
        """Return how a run stands after its first event."""
        return cls(
            header.run_uuid,
            header.tenant,
            header.version,
            header.state_after(State.CREATED),
            header.session_id,
            header.user_id,
            header.moment,
            header.moment,
            _waits(None, header),
        )

    def after(self, header: EventHeader) -> Self:
        """Return how the run stands after its next event."""
        return self._replace(
            version=header.version,
            state=header.state_after(self.state),
            updated_at=header.moment,
            waits=_waits(self.waits, header),
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
    beyond: tuple[EventHeader, ...] = ()


@dataclass(slots=True)
class Changes:
    """What a batch changes in the tables. `gaps` are the runs whose next event is not there, and the version that is missing."""

    moved: dict[UUID, Moved] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    gaps: dict[UUID, int] = field(default_factory=dict)
    news: int = 0


def known_at(version: int, history: Iterable[EventHeader]) -> Known:
    """Return what is known of a run whose row is at `version`, of its whole history."""
    standing, beyond = None, []
    for header in history:
        if header.version > version:
            beyond.append(header)
        else:
            standing = standing.after(header) if standing else Standing.first(header)
    return Known(standing, tuple(beyond))


def project_batch(known: Mapping[UUID, Known], batch: Sequence[EventHeader]) -> Changes:
    """Fold `batch` onto what is known of its runs. Runs that are not known begin with nothing."""
    arrived: dict[UUID, list[EventHeader]] = {run_id: [*known[run_id].beyond] for run_id in known}
    for header in batch:
        arrived.setdefault(header.run_uuid, []).append(header)
    changes = Changes()
    for run_id, headers in arrived.items():
        _project_run(known.get(run_id, _NOTHING).standing, headers, changes)
    return changes


_NOTHING = Known()


def _project_run(found: Standing | None, headers: list[EventHeader], changes: Changes) -> None:
    standing = found
    for header in sorted(headers, key=_version):
        reached = standing.version if standing else 0
        if header.version <= reached:
            continue
        if header.version > reached + 1:
            changes.gaps[header.run_uuid] = reached + 1
            break
        changes.news += 1
        if decision := _decision(standing, header):
            changes.decisions.append(decision)
        standing = standing.after(header) if standing else Standing.first(header)
    if standing is not None and standing is not found:
        changes.moved[standing.run_id] = Moved(found, standing)


def _version(header: EventHeader) -> int:
    return header.version


def _waits(waited: Waiting | None, header: EventHeader) -> Waiting | None:
    effect, facts = header.effect, header.data
    if effect.opens:
        place = facts["checkpoint_id"], facts["step"], facts["subject_sha256"]
        return Waiting(*place, header.moment, facts["expires_at"])
    if waited is None or effect.closes:
        return None
    if effect.prolongs and (expires_at := facts.get("expires_at")) is not None:
        return waited._replace(expires_at=expires_at)
    return waited


def _decision(standing: Standing | None, header: EventHeader) -> Decision | None:
    action, facts = header.effect.action, header.data
    if action is None or facts.get("checkpoint_id") is None:
        return None
    if action == "retry":  # it names no step: only an error review offers it
        waited = standing.waits if standing else None
        step, seen = Step.ERROR_REVIEW, waited.subject_sha256 if waited else ""
    else:
        step, seen = facts["step"], facts["subject_sha256"]
    place = header.run_uuid, header.version, facts["checkpoint_id"], header.tenant
    return Decision(*place, step, action, header.actor, header.moment, seen)
