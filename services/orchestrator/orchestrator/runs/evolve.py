"""How events change a run. Never refuses and never raises: a recorded event has happened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from contracts.providers.call import CallIntent
from contracts.providers.routing import Candidate
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.event_header import EFFECTS, UNKNOWN
from contracts.runs.requests import RunRequest
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.persons import person_of
from contracts.runs.tasks.readers import entries_after
from contracts.runs.views import RunView, project
from orchestrator.aggregate import Answered
from orchestrator.runs.attempts.failures import held_back, is_answer
from orchestrator.runs.state import Attempt, Changes, Closed, Comment, Failed, Noted, OrderKind, Revision, Run

_UNREADABLE = RunRequest(prompt="?")
"""Stands in for the request where the first event is of a kind that this version does not know."""


def fold(records: Iterable[RunEvent], run: Run | None = None) -> Run | None:
    """Return the run that `records` lead to, from `run` on or from nothing."""
    for record in records:
        run = evolve(run, record)
    return run


def evolve(run: Run | None, record: RunEvent) -> Run:
    """Return the run after `record`.

    After an event of an unknown kind the run's state means nothing to this version: only the view is folded on.
    """
    view = project(run.view if run else None, record)
    if run is None:
        run = _begin(record, view)
    changes = _changes(run, record.data, record) if run.newer_kind is None else {}
    decision = view.last_approval
    if decision is not None and decision is not run.view.last_approval:
        changes["decided"] = {**run.decided, decision.checkpoint_id: decision}
    changes["view"] = view
    effect = EFFECTS.get(record.kind, UNKNOWN)
    if effect.opens or effect.on_task or effect.action:
        task = view.checkpoint.task if view.checkpoint else None
        changes["readers"] = entries_after(run.readers, task, effect, record.principal)
    if effect.closes and run.view.checkpoint is not None:
        changes["closed"] = Closed(run.view.checkpoint.step, run.view.checkpoint.task)
    if view.is_over is (run.ended is None):
        changes["ended"] = record.version if view.is_over else None
    changes["answered"] = {**run.answered, record.cause: Answered(record.version, record.request_sha256)}
    return run.changed(changes)


def _begin(record: RunEvent, view: RunView) -> Run:
    started = record.data
    if isinstance(started, e.UnknownEvent):
        return Run(view, _UNREADABLE, record.tenant, record.principal, _UNREADABLE.intent())
    assert isinstance(started, e.RunStarted), "a history begins with run-started"
    request, parent = started.request, started.parent
    return Run(view, request, record.tenant, record.principal, request.intent(), parent)


def _changes(run: Run, event: e.Event, record: RunEvent) -> Changes:
    match event:  # the events of every run come first: each case before the right one costs time
        case e.CheckpointOpened():
            return {"attempt": None, "asked_again": (), "revision": None, "drafts": frozenset()}
        case e.CheckpointApproved() | e.CheckpointEdited():
            return {**_approved(run, event), **_edited(run, event, record)}
        case e.RunPrepared(preparation=preparation):
            payload, issues = preparation.payload, preparation.issues
            prepared: Changes = {"attempt": None, "preparation": preparation, "payload": payload, "issues": issues}
            return prepared | _without_editor(run, Step.PAYLOAD_REVIEW)
        case e.RunStarted() | e.CallOrdered():
            return _of_attempt(run, event)
        case e.CallSucceeded(execution=execution):
            called: Changes = {"attempt": None, "execution": execution, "response": execution.response, "noted": None}
            return called | _without_editor(run, Step.RESPONSE_REVIEW)
        case e.RunCancelled(error=None) | e.RunCompleted():
            return {"attempt": None, "stopping": _unfinished_call(run, record), "failed": None, "paused_at": None}
        case e.StepPassed(step=step):
            return {"cleared": run.cleared | {step}}
        case e.PreparationFailed() | e.CallFailed():
            return _failed(run, event)
        case e.SubjectChecked():
            return _checked(run, event)
        case e.CheckFailed(failure=failure):
            return {"attempt": None, "failed": run.attempt and Failed(run.attempt, failure)}
        case e.PayloadFixed(payload=payload):
            return {"payload": payload, "issues": tuple(i for i in run.issues if i.automatic_fix is None)}
        case e.RouteFellBack(failed=candidate):
            return _fell_back(run, candidate)
        case e.RunPaused() | e.RunResumed():
            return {"paused_at": record.at if isinstance(event, e.RunPaused) else None}
        case e.RunRetried(checkpoint_id=None) if run.closed is not None and run.closed.is_shared and run.ended_with:
            # Several had to decide whether to call again: one who tries again opens their review, and orders no call.
            return {"attempt": None, "failed": run.ended_with, "ended_with": None}
        case e.RunRetried():
            return _retried(run)
        case e.RunFailed() | e.RunCancelled():
            # It can be retried, so a call that the provider accepted is not stopped: the retry asks about it.
            return {"attempt": None, "ended_with": run.failed, "failed": None, "paused_at": None}
        case e.UnknownEvent():
            return {"newer_kind": record.kind}
        case _:
            return _of_attempt(run, event) or _of_task(run, event, record)


def _of_task(run: Run, event: e.Event, record: RunEvent) -> Changes:
    person = person_of(record.principal, record.actor)
    match event:
        case e.SubjectRevised(edits=edits, diff=diff) if run.view.checkpoint is not None:
            first = run.revision.subject if run.revision else run.view.checkpoint.subject
            return {"revision": Revision(first, edits, diff)}
        case e.DraftBegun():
            return {"drafts": run.drafts | {person}}
        case e.DraftDropped():
            return {"drafts": run.drafts - {person}}
        case e.CommentAdded(comment_id=comment_id, checkpoint_id=checkpoint_id):
            return {"comments": {**run.comments, comment_id: Comment(person, checkpoint_id)}}
        case e.CommentDeleted(comment_id=comment_id) if comment_id in run.comments:
            return {"comments": {**run.comments, comment_id: run.comments[comment_id]._replace(deleted=True)}}
    return {}


def _of_attempt(run: Run, event: e.Event) -> Changes:
    match event:
        case e.RunStarted():
            until, in_one = event.lease_until, event.in_one
            return {"attempt": Attempt(OrderKind.PREPARE, event.work_id, 1, lease_until=until, in_one=in_one)}
        case e.PreparationOrdered():
            return {"attempt": _ordered(OrderKind.PREPARE, event), "failed": None}
        case e.CheckOrdered():
            return {"attempt": _ordered(OrderKind.CHECK, event), "failed": None}
        case e.CallOrdered():
            return {
                "attempt": _ordered(OrderKind.CALL, event)._replace(in_one=event.in_one),
                "payload_sha256": event.payload_sha256,
                "failed": None,
                "cleared": run.cleared | {Step.PAYLOAD_REVIEW},
            }
        case e.CallDoubted(lease_until=until):
            return {"attempt": run.attempt and run.attempt._replace(lease_until=until, doubted=True)}
        case e.LeaseExtended(lease_until=until):
            return {"attempt": _extended(run.attempt, until), "stopping": _extended(run.stopping, until)}
        case e.RetryScheduled():
            tried = run.failed.attempt if run.failed else run.attempt
            kind = tried.kind if tried else OrderKind.PREPARE
            return {"attempt": Attempt(kind, event.work_id, event.attempt, retry_at=event.retry_at), "failed": None}
        case e.CallNoted(provider_call_id=call_id):
            return {"noted": Noted(call_id, run.payload_sha256, event.work_id, event.attempt)}
        case e.CallStopped():
            # A paused run's call that had not begun is ordered anew when the run goes on.
            return {"stopping": None, "noted": None, "attempt": run.attempt if run.stopping else None}
    return {}


def _ordered(kind: OrderKind, event: e.PreparationOrdered | e.CheckOrdered | e.CallOrdered) -> Attempt:
    return Attempt(kind, event.work_id, event.attempt, lease_until=event.lease_until)


def _extended(attempt: Attempt | None, until: datetime) -> Attempt | None:
    return attempt and attempt._replace(lease_until=until)


def _failed(run: Run, event: e.PreparationFailed | e.CallFailed) -> Changes:
    failed: Changes = {
        "attempt": None,
        "failed": run.attempt and Failed(run.attempt, event.failure),
        # An accepted call that the provider has answered is finished; any other can still be asked about.
        "noted": None if is_answer(event.failure) else run.noted,
    }
    return failed | held_back(run, event.failure)


def _unfinished_call(run: Run, record: RunEvent) -> Attempt | None:
    """Return the call that outlives its run: a worker is making it, or a provider accepted it and has not answered."""
    if run.attempt is not None and run.attempt.is_running_call:
        return run.attempt
    if run.noted is None:
        return None
    until = record.at + timedelta(seconds=run.config.lease_seconds)
    return Attempt(OrderKind.CALL, run.noted.work_id, run.noted.attempt, lease_until=until)


def _approved(run: Run, event: e.CheckpointApproved | e.CheckpointEdited) -> Changes:
    edited = event.subject if isinstance(event, e.CheckpointEdited) else None
    changes: Changes = {"cleared": run.cleared | {event.step}}
    match event.step:
        case Step.INFORMATION_REVIEW if edited is not None:
            changes |= {"intent": CallIntent.model_validate(edited), "preparation": None, "payload": None}
        case Step.PAYLOAD_REVIEW:
            changes |= {"approved_sha256": event.subject_sha256, "approved_for": run.candidate, "issues": ()}
            if edited is not None:
                changes |= {"payload": edited, "unchecked": event.step}
        case Step.RESPONSE_REVIEW if edited is not None:
            changes["response"] = edited
            if run.execution is not None and run.execution.checks:
                changes["unchecked"] = event.step
        case Step.ERROR_REVIEW if edited is not None:
            changes |= {"response": edited, "failed": None}
    return changes


def _edited(run: Run, event: e.CheckpointApproved | e.CheckpointEdited, record: RunEvent) -> Changes:
    """Return who edited last what was decided on: where votes were counted, another may have given the last of them."""
    if not isinstance(event, e.CheckpointEdited):
        return {}
    checkpoint = run.view.checkpoint
    revised_by = checkpoint.task.revised_by if checkpoint is not None and run.revision is not None else None
    editor = revised_by or person_of(record.principal, record.actor)
    # A result that is entered at an error review is the response from then on.
    step = Step.RESPONSE_REVIEW if event.step is Step.ERROR_REVIEW else event.step
    return {"editors": {**run.editors, step: editor}}


def _without_editor(run: Run, step: Step) -> Changes:
    """Return that a step shows what came from a worker."""
    if step not in run.editors:
        return {}
    return {"editors": {edited: person for edited, person in run.editors.items() if edited is not step}}


def _checked(run: Run, event: e.SubjectChecked) -> Changes:
    checked, prepared = event.checked, run.preparation
    changes: Changes = {"attempt": None, "unchecked": None, "asked_again": event.reasons}
    if event.reasons:
        changes["cleared"] = run.cleared - {event.step}
    if event.step is Step.RESPONSE_REVIEW:
        changes["execution"] = run.execution and run.execution.changed({"signals": checked.signals})
    elif prepared is not None:
        facts = checked.__dict__
        changes["preparation"] = prepared.changed({name: facts[name] for name in _CHECKED})
        changes["issues"] = checked.issues
        # The bytes that were approved name the model: it is the candidate that they were approved for.
        changes["approved_for"] = Candidate(provider=prepared.provider, model=checked.model)
    return changes


_CHECKED = ("model", "estimate", "currency", "signals")


def _fell_back(run: Run, candidate: Candidate) -> Changes:
    # The approved digest stays: if the next candidate's payload has other bytes, it goes to a person again.
    return {
        "failed": None,
        "preparation": None,
        "payload": None,
        "issues": (),
        "cleared": frozenset(),
        "unchecked": None,
        "tried": (*run.tried, candidate),
    }


def _retried(run: Run) -> Changes:
    if run.unchecked is Step.RESPONSE_REVIEW:
        return {"attempt": None, "failed": None}  # the answer was bought: the check is tried again, and not the call
    again: Changes = {"attempt": None, "failed": None, "execution": None, "response": None, "asked_again": ()}
    if Step.PAYLOAD_REVIEW in run.cleared:
        again["cleared"] = run.cleared - {Step.RESPONSE_REVIEW, Step.ERROR_REVIEW}
        return again
    return again | {
        "preparation": None,
        "payload": None,
        "approved_sha256": None,
        "approved_for": None,
        "tried": (),
        "cleared": frozenset(),
        "unchecked": None,
    }
