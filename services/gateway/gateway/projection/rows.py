"""The read model's fold: a batch of events in, the changed rows out. Pure: knows no Kafka, no PostgreSQL and no clock.

A row is folded from an unbroken sequence of events, 1 to its version. Events at or below the version are skipped, so a batch may
come again. A missing event is in the ledger: events are appended there before they are published. A row that the ledger does not reach
(it was restored from an older copy) is left as it is: nothing can be folded onto it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from contracts.runs.config import Step
from contracts.runs.event_header import EventHeader, State
from contracts.runs.tasks.readers import entries_after
from gateway.projection.pending import PendingCheckpoint, pending_after, subject_of
from gateway.projection.search_words import subject_words


class RunRow(NamedTuple):
    """The row of a run, at a version."""

    run_id: UUID
    tenant: str
    version: int
    state: State
    session_id: str | None
    user_id: str | None
    created_at: datetime
    updated_at: datetime
    pending: PendingCheckpoint | None = None
    requester: str | None = None
    """The person who started it; None where authentication was off."""

    readers: tuple[str, ...] = ()
    """The entries of those who may read it (see `contracts.runs.tasks.readers`)."""

    @classmethod
    def first(cls, header: EventHeader) -> Self:
        """Return the row after the first event."""
        pending = pending_after(None, header)
        return cls(
            header.run_uuid,
            header.tenant,
            header.version,
            header.state_after(State.CREATED),
            header.session_id,
            header.user_id,
            header.moment,
            header.moment,
            pending,
            None if header.principal is None else header.principal.person,
            entries_after((), pending and pending.task, header.effect, header.principal),
        )

    def after(self, header: EventHeader) -> RunRow:
        """Return the row after the next event."""
        pending, readers = pending_after(self.pending, header), self.readers
        if pending is not self.pending or header.task_event is not None or header.effect.action:
            readers = entries_after(readers, pending and pending.task, header.effect, header.principal)
        return RunRow(  # at a third of the price of `_replace`
            self.run_id,
            self.tenant,
            header.version,
            header.state_after(self.state),
            self.session_id,
            self.user_id,
            self.created_at,
            header.moment,
            pending,
            self.requester,
            readers,
        )


class RunChange(NamedTuple):
    """The row that a batch makes of `found`. It is written only where the table still holds `found`."""

    found: RunRow | None
    row: RunRow
    words: tuple[str, ...] | None = None
    """The words of the subject that waits; None where it is the one that waited before. No row keeps them: the table does."""

    @property
    def closed(self) -> PendingCheckpoint | None:
        """The checkpoint that waits no longer."""
        waited, pending = self.found.pending if self.found else None, self.row.pending
        return None if waited is None or (pending and pending.checkpoint_id == waited.checkpoint_id) else waited

    @property
    def opened(self) -> PendingCheckpoint | None:
        """The checkpoint that waits now, if it is new, or changed, or may be read by others too."""
        if self.found is None:
            return self.row.pending
        is_same = self.row.pending == self.found.pending and self.row.readers == self.found.readers
        return None if is_same else self.row.pending


class ApprovalRow(NamedTuple):
    """The row of a decision by a person."""

    run_id: UUID
    version: int
    checkpoint_id: UUID
    tenant: str
    step: Step
    action: str
    actor: str
    at: datetime
    subject_sha256: str


class LoadedRun(NamedTuple):
    """A run before a batch: its row, and the events in the ledger behind the row's version.

    `is_ahead` tells that the stored row has a version that the ledger does not reach: `row` is what the ledger gives then.
    """

    row: RunRow | None = None
    beyond: tuple[EventHeader, ...] = ()
    is_ahead: bool = False

    @property
    def version(self) -> int:
        """The version that the row was folded to, 0 without one."""
        return self.row.version if self.row else 0


@dataclass(slots=True)
class Changes:
    """What a batch changes in the tables. `gaps` maps a run whose next event is missing to the missing version; `news` counts new events."""

    moved: dict[UUID, RunChange] = field(default_factory=dict)
    approvals: list[ApprovalRow] = field(default_factory=list)
    gaps: dict[UUID, int] = field(default_factory=dict)
    news: int = 0


def loaded_at(version: int, history: Iterable[EventHeader]) -> LoadedRun:
    """Fold a whole history into the row at `version` and the events behind it."""
    row, beyond = None, []
    for header in history:
        if header.version > version:
            beyond.append(header)
        else:
            row = row.after(header) if row else RunRow.first(header)
    loaded = LoadedRun(row, tuple(beyond))
    return loaded._replace(is_ahead=loaded.version < version)


def project_batch(loaded: Mapping[UUID, LoadedRun], batch: Sequence[EventHeader]) -> Changes:
    """Fold `batch` onto the loaded runs. A run that is not among them begins with nothing."""
    arrived: dict[UUID, list[EventHeader]] = {run_id: [*run.beyond] for run_id, run in loaded.items()}
    for header in batch:
        arrived.setdefault(header.run_uuid, []).append(header)
    changes = Changes()
    for run_id, headers in arrived.items():
        found = loaded.get(run_id, _NOTHING)
        if found.is_ahead:
            changes.gaps[run_id] = found.version + 1
        else:
            _project_run(found.row, headers, changes)
    return changes


_NOTHING = LoadedRun()


def _project_run(found: RunRow | None, headers: list[EventHeader], changes: Changes) -> None:
    row, subject = found, None
    for header in sorted(headers, key=_version):
        reached = row.version if row else 0
        if header.version <= reached:
            continue
        if header.version > reached + 1:
            changes.gaps[header.run_uuid] = reached + 1
            break
        changes.news += 1
        if approval := _approval(row, header):
            changes.approvals.append(approval)
        waited = row and row.pending
        row = row.after(header) if row else RunRow.first(header)
        if row.pending is not waited and (shown := subject_of(header)) is not None:
            subject = shown
    if row is not None and row is not found:
        words = None if subject is None or row.pending is None else subject_words(subject)
        changes.moved[row.run_id] = RunChange(found, row, words)


def _version(header: EventHeader) -> int:
    return header.version


def _approval(row: RunRow | None, header: EventHeader) -> ApprovalRow | None:
    action, facts = header.effect.action, header.data
    if action is None or facts.get("checkpoint_id") is None:
        return None
    if action == "retry":  # it names no step: only an error review offers it
        waited = row.pending if row else None
        step, seen = Step.ERROR_REVIEW, waited.subject_sha256 if waited else ""
    else:
        step, seen = facts["step"], facts["subject_sha256"]
    place = header.run_uuid, header.version, facts["checkpoint_id"], header.tenant
    return ApprovalRow(*place, step, action, header.actor, header.moment, seen)
