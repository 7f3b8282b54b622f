"""What a request left in a history: by the comment or reason that it brought, or by the id of its command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from chaos.clients.requests import Request
from contracts.runs import events as e
from contracts.runs.commands import command_id
from contracts.runs.events.base import Event
from contracts.runs.run_event import RunEvent

_DECIDED = (e.CheckpointApproved, e.CheckpointEdited, e.CheckpointRejected, e.VoteCast, e.SubjectRevised)

_KINDS: Mapping[str, tuple[type[Event], ...]] = {
    "start": (e.RunStarted,),
    "approve": (e.CheckpointApproved, e.CheckpointEdited, e.VoteCast),
    "bulk": (e.CheckpointApproved, e.CheckpointEdited, e.VoteCast),
    "edit": (e.CheckpointEdited, e.SubjectRevised, e.VoteCast),
    "reject": (e.CheckpointRejected, e.VoteCast),
    "retry": (e.RunRetried,),
    "claim": (e.TaskClaimed,),
    "renew": (e.TaskClaimed, e.ClaimRenewed),
    "release": (e.ClaimEnded,),
    "assign": (e.TaskAssigned,),
    "delegate": (e.TaskDelegated, e.TaskAssigned),
    "return": (e.TaskReturned,),
    "escalate": (e.TaskEscalated,),
    "reschedule": (e.TaskRescheduled,),
    "comment": (e.CommentAdded,),
    "draft": (e.DraftBegun,),
    "pause": (e.RunPaused,),
    "resume": (e.RunResumed,),
    "absence": (),
}
"""The kinds that an accepted request leaves: a vote that decides leaves one of each of two."""


def effects_of(request: Request, history: Sequence[RunEvent]) -> list[RunEvent]:
    """Return the events that a request left."""
    if request.action == "start":
        return [event for event in history if isinstance(event.data, e.RunStarted)]
    if request.is_about_task:
        cause = _command_id(request, history)
        return [event for event in history if event.cause == cause and isinstance(event.data, _KINDS[request.action])]
    return [event for event in history if trace_of(event) == request.key]


def times_effective(request: Request, history: Sequence[RunEvent]) -> int:
    """Return how often a request took effect. A vote that decides took effect once, and left two events."""
    return max(Counter(type(event.data) for event in effects_of(request, history)).values(), default=0)


def is_of(request: Request, event: RunEvent) -> bool:
    """Return whether an event is what a request leaves, by who made it."""
    return event.actor == request.actor and isinstance(event.data, _KINDS[request.action])


def trace_of(event: RunEvent) -> str | None:
    """Return the key that a decision or a vote brought."""
    if isinstance(event.data, e.RunRetried):
        return event.data.reason
    return event.data.comment if isinstance(event.data, _DECIDED) else None


def _command_id(request: Request, history: Sequence[RunEvent]) -> object:
    """Return the id of a request's command, which the gateway derives from the key, who asks, and the run; None where nothing was started."""
    if not history:
        return None
    first = history[0]
    who = () if first.principal is None else (request.actor,)
    return command_id("http", first.tenant, *who, first.run_id, request.key)
