"""Notices of a run to the aggregate that started it as a child: how it ended, or that its start was refused."""

from __future__ import annotations

from uuid import UUID, uuid5

from contracts.notices import ChildEnded, Parent
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.outcomes import Refused
from contracts.runs.views import State
from orchestrator.refusals import NewerHistory
from orchestrator.runs.state import Run

ENDING: frozenset[type[e.Event]] = frozenset((e.RunCompleted, e.RunFailed, e.RunCancelled))
"""The events that a parent is told of."""

_ENDS = {State.COMPLETED: "completed", State.FAILED: "failed", State.CANCELLED: "cancelled"}


def end_notice(run: Run) -> ChildEnded | None:
    """Return the notice of the run's end as it is now, or None: it has no parent, or goes on."""
    if run.parent is None or run.ended is None or run.newer_kind is not None:
        return None
    error = run.view.error
    return _notice(
        run.parent,
        tenant=run.tenant,
        command_id=uuid5(run.run_id, str(run.ended)),
        at=run.updated_at,
        child_id=run.run_id,
        version=run.ended,
        state=_ENDS[run.view.state],
        code=None if error is None else error.code,
    )


def refusal_notice(start: c.StartRun, outcome: bytes) -> ChildEnded | None:
    """Return the notice that a child's start got this refused outcome, or None: it has no parent."""
    if start.parent is None:
        return None
    code = Refused.model_validate_json(outcome).code
    if code == NewerHistory.code:  # the run goes on, under a newer version
        return None
    return _notice(
        start.parent,
        tenant=start.tenant,
        command_id=uuid5(start.run_id, f"refused {start.command_id}"),
        at=start.at,
        child_id=start.run_id,
        version=0,
        state="refused",
        code=code,
    )


def _notice(
    parent: Parent,
    *,
    tenant: str,
    command_id: UUID,
    at: object,
    child_id: UUID,
    version: int,
    state: str,
    code: str | None,
) -> ChildEnded:
    return ChildEnded.of(
        kind="child-ended.v1",
        command_id=command_id,
        tenant=tenant,
        at=at,
        stream_id=parent.stream_id,
        path=parent.path,
        child="run",
        child_id=child_id,
        version=version,
        state=state,
        code=code,
    )
