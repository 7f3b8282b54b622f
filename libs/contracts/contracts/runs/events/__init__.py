"""The events of a run. Stored and published as the same bytes; each kind is stable, and grows by adding only."""

from __future__ import annotations

from contracts.runs.events.attempts import (
    CallDoubted,
    CallFailed,
    CallNoted,
    CallOrdered,
    CallStopped,
    CallSucceeded,
    CheckFailed,
    CheckOrdered,
    LeaseExtended,
    PayloadFixed,
    PreparationFailed,
    PreparationOrdered,
    RetryScheduled,
    RouteFellBack,
    RunPrepared,
    SubjectChecked,
)
from contracts.runs.events.base import Change, Event, RunError, UnknownEvent
from contracts.runs.events.checkpoints import (
    CheckpointApproved,
    CheckpointEdited,
    CheckpointEscalated,
    CheckpointExpired,
    CheckpointOpened,
    CheckpointRejected,
    StepPassed,
)
from contracts.runs.events.lifecycle import (
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunPaused,
    RunResumed,
    RunRetried,
    RunStarted,
)
from contracts.runs.events.tasks import (
    ClaimEnded,
    ClaimEnding,
    ClaimRenewed,
    CommentAdded,
    CommentDeleted,
    CommentEdited,
    DraftBegun,
    DraftDropped,
    StageApproved,
    SubjectRevised,
    TaskAssigned,
    TaskClaimed,
    TaskDelegated,
    TaskEscalated,
    TaskReminded,
    TaskRescheduled,
    TaskReturned,
    VoteCast,
)


def _kinds(root: type[Event]) -> dict[str, type[Event]]:
    found = {} if "kind" not in vars(root) else {root.kind: root}
    for child in root.__subclasses__():
        found |= _kinds(child)
    return found


EVENT_KINDS = {kind: event for kind, event in _kinds(Event).items() if event is not UnknownEvent}
"""Every kind of event, by its stable name."""

__all__ = [
    "EVENT_KINDS",
    "CallDoubted",
    "CallFailed",
    "CallNoted",
    "CallOrdered",
    "CallStopped",
    "CallSucceeded",
    "Change",
    "CheckFailed",
    "CheckOrdered",
    "CheckpointApproved",
    "CheckpointEdited",
    "CheckpointEscalated",
    "CheckpointExpired",
    "CheckpointOpened",
    "CheckpointRejected",
    "ClaimEnded",
    "ClaimEnding",
    "ClaimRenewed",
    "CommentAdded",
    "CommentDeleted",
    "CommentEdited",
    "DraftBegun",
    "DraftDropped",
    "Event",
    "LeaseExtended",
    "PayloadFixed",
    "PreparationFailed",
    "PreparationOrdered",
    "RetryScheduled",
    "RouteFellBack",
    "RunCancelled",
    "RunCompleted",
    "RunError",
    "RunFailed",
    "RunPaused",
    "RunPrepared",
    "RunResumed",
    "RunRetried",
    "RunStarted",
    "StageApproved",
    "StepPassed",
    "SubjectChecked",
    "SubjectRevised",
    "TaskAssigned",
    "TaskClaimed",
    "TaskDelegated",
    "TaskEscalated",
    "TaskReminded",
    "TaskRescheduled",
    "TaskReturned",
    "UnknownEvent",
    "VoteCast",
]
