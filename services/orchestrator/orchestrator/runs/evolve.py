"""How events change a run. Never refuses: what is recorded has happened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from contracts.providers.call import CallIntent
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, project
from orchestrator.runs.budgets import held_back
from orchestrator.runs.failures import is_answer
from orchestrator.runs.state import Answered, Failed, Noted, Run, Work, WorkKind


def fold(records: Iterable[RunEvent], run: Run | None = None) -> Run | None:
    """Return the run that `records` lead to, from `run` on or from nothing."""
    for record in records:
        run = evolve(run, record)
    return run


def evolve(run: Run | None, record: RunEvent) -> Run:
    """Return the run after `record`."""
    view = project(run.view if run else None, record)
    if run is None:
        run = _begin(record, view)
    changes = _changes(run, record.data, record)
    decision = view.last_approval
    if decision is not None and decision is not run.view.last_approval:
        changes["decided"] = {**run.decided, decision.checkpoint_id: decision}
    answered = {**run.answered, record.cause: Answered(record.version, record.request_sha256)}
    return run.changed(view=view, answered=answered, **changes)


def _begin(record: RunEvent, view: RunView) -> Run:
    started = record.data
    assert isinstance(started, e.RunStarted), "a history begins with run-started"
    return Run(view=view, request=started.request, tenant=record.tenant, intent=started.request.intent())


def _changes(run: Run, event: e.Event, record: RunEvent) -> dict[str, Any]:
    match event:  # what happens in every run comes first: each case that is not it costs
        case e.CheckpointOpened():
            return {"work": None}
        case e.CheckpointApproved() | e.CheckpointEdited():
            return _approved(run, event)
        case e.RunPrepared(preparation=preparation):
            payload, issues = preparation.payload, preparation.issues
            return {"work": None, "preparation": preparation, "payload": payload, "issues": issues}
        case e.RunStarted() | e.CallOrdered():
            return _of_work(run, event)
        case e.CallSucceeded(execution=execution):
            return {"work": None, "execution": execution, "response": execution.response, "noted": None}
        case e.RunCancelled() | e.RunCompleted():
            return {"work": None, "stopping": _left_behind(run, record), "failed": None, "paused_at": None}
        case e.StepPassed(step=step):
            return {"cleared": run.cleared | {step}}
        case e.PreparationFailed(failure=failure) | e.CallFailed(failure=failure):
            # What was answered is over; what was not can be asked about.
            noted = None if is_answer(failure) else run.noted
            failed = run.work and Failed(run.work, failure)
            return {"work": None, "failed": failed, "noted": noted, **held_back(run, event)}
        case e.PayloadFixed(payload=payload):
            return {"payload": payload, "issues": tuple(i for i in run.issues if i.automatic_fix is None)}
        case e.RouteFellBack(failed=candidate):
            # What a person approved stays approved, and nothing else: other bytes go back to them.
            forgotten = {"failed": None, "preparation": None, "payload": None}
            return {**forgotten, "issues": (), "cleared": frozenset(), "tried": (*run.tried, candidate)}
        case e.RunPaused() | e.RunResumed():
            return {"paused_at": record.at if isinstance(event, e.RunPaused) else None}
        case e.RunRetried():
            return _retried(run)
        case e.RunFailed():
            return {"work": None, "failed": None, "paused_at": None}
        case _:
            return _of_work(run, event)


def _of_work(run: Run, event: e.Event) -> dict[str, Any]:
    match event:
        case e.RunStarted():
            return {"work": Work(WorkKind.PREPARE, event.work_id, 1, lease_until=event.lease_until)}
        case e.PreparationOrdered():
            return {"work": _in_hand(WorkKind.PREPARE, event), "failed": None}
        case e.CallOrdered():
            cleared = run.cleared | {Step.PAYLOAD_REVIEW}
            ordered = {"work": _in_hand(WorkKind.CALL, event), "payload_sha256": event.payload_sha256}
            return {**ordered, "failed": None, "cleared": cleared}
        case e.CallDoubted(lease_until=until):
            return {"work": run.work and run.work._replace(lease_until=until, doubted=True)}
        case e.LeaseExtended(lease_until=until):
            return {"work": _extended(run.work, until), "stopping": _extended(run.stopping, until)}
        case e.RetryScheduled():
            kind = run.failed.work.kind if run.failed else WorkKind.PREPARE
            return {"work": Work(kind, event.work_id, event.attempt, retry_at=event.retry_at), "failed": None}
        case e.CallNoted(provider_call_id=call_id):
            return {"noted": Noted(call_id, run.payload_sha256, event.work_id, event.attempt)}
        case e.CallStopped():
            return {"stopping": None, "noted": None}
    return {}


def _left_behind(run: Run, record: RunEvent) -> Work | None:
    """Return the call that goes on though nobody waits for it: in a worker's hands, or known to a provider whose answer was not heard."""
    if run.work is not None and run.work.is_running_call:
        return run.work
    if run.noted is None:
        return None
    until = record.at + timedelta(seconds=run.config.lease_seconds)
    return Work(WorkKind.CALL, run.noted.work_id, run.noted.attempt, lease_until=until)


def _in_hand(kind: WorkKind, event: e.PreparationOrdered | e.CallOrdered) -> Work:
    return Work(kind, event.work_id, event.attempt, lease_until=event.lease_until)


def _extended(work: Work | None, until: datetime) -> Work | None:
    return work and work._replace(lease_until=until)


def _approved(run: Run, event: e.CheckpointApproved | e.CheckpointEdited) -> dict[str, Any]:
    edited = event.subject if isinstance(event, e.CheckpointEdited) else None
    changes: dict[str, Any] = {"cleared": run.cleared | {event.step}}
    match event.step:
        case Step.INFORMATION_REVIEW if edited is not None:
            changes |= {"intent": CallIntent.model_validate(edited), "preparation": None, "payload": None}
        case Step.PAYLOAD_REVIEW:
            changes |= {"approved_sha256": event.subject_sha256, "approved_for": run.candidate, "issues": ()}
            if edited is not None:
                changes["payload"] = edited
        case Step.RESPONSE_REVIEW if edited is not None:
            changes["response"] = edited
        case Step.ERROR_REVIEW if edited is not None:
            changes |= {"response": edited, "failed": None}
    return changes


def _retried(run: Run) -> dict[str, Any]:
    again: dict[str, Any] = {"work": None, "failed": None, "execution": None, "response": None}
    if Step.PAYLOAD_REVIEW in run.cleared:
        return {**again, "cleared": run.cleared - {Step.RESPONSE_REVIEW, Step.ERROR_REVIEW}}
    anew = {"preparation": None, "payload": None, "approved_sha256": None, "approved_for": None, "tried": ()}
    return {**again, **anew, "cleared": frozenset()}
