"""The open checkpoint of a run and its task, folded event by event as the view's are. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from contracts.runs.config import Step
from contracts.runs.event_header import EventHeader
from contracts.runs.events import CheckpointEscalated, SubjectRevised
from contracts.runs.tasks.fold import fold_task, shift_task
from contracts.runs.tasks.task import PLAIN, Task, open_task


class PendingCheckpoint(NamedTuple):
    """A checkpoint that waits for a person."""

    checkpoint_id: UUID
    step: Step
    subject_sha256: str
    opened_at: datetime
    expires_at: datetime
    task: Task = PLAIN


def pending_after(waited: PendingCheckpoint | None, header: EventHeader) -> PendingCheckpoint | None:
    """Return the checkpoint that waits after an event, if any."""
    effect, facts = header.effect, header.data
    if effect.opens:
        place = facts["checkpoint_id"], facts["step"], facts["subject_sha256"]
        opened_at = header.moment
        task = open_task(facts.get("rules"), opened_at, facts.get("revised_by"))
        return PendingCheckpoint(*place, opened_at, facts["expires_at"], task)
    if waited is None or effect.closes:
        return None
    if effect.on_task:
        return _on_task(waited, header)
    if effect.prolongs and (expires_at := facts.get("expires_at")) is not None:
        task = shift_task(waited.task, expires_at - waited.expires_at, header.moment)
        return waited._replace(expires_at=expires_at, task=task)
    return waited


def subject_of(header: EventHeader) -> dict[str, Any] | None:
    """Return what an event says that waits, or None."""
    return header.data["subject"] if header.effect.opens or header.kind == SubjectRevised.kind else None


def _on_task(waited: PendingCheckpoint, header: EventHeader) -> PendingCheckpoint:
    event = header.task_event
    assert event is not None, "events of a task are read in full"
    task = fold_task(waited.task, event.data, event)
    match event.data:
        case SubjectRevised(subject_sha256=subject_sha256):
            return waited._replace(task=task, subject_sha256=subject_sha256)
        case CheckpointEscalated(expires_at=expires_at):
            return waited._replace(task=task, expires_at=expires_at)
    return waited._replace(task=task)
