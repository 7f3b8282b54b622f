"""What workers and the clock say of an attempt. An answer counts only if it names the attempt that the run waits for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, assert_never

from contracts.providers.call import Checked, Ending, Failure
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import Step
from orchestrator.runs.attempts import cancelled_calls
from orchestrator.runs.attempts.failures import is_uncertain
from orchestrator.runs.attempts.orders import (
    extend_lease,
    order_call,
    order_call_in_one,
    order_check,
    order_preparation,
    postpone,
)
from orchestrator.runs.checkpoints.schema_check import errors_in
from orchestrator.runs.policy import Pass, Pause, review, review_edit
from orchestrator.runs.refusals import StaleCommand
from orchestrator.runs.state import Attempt, Failed, OrderKind, Run

_BEFORE_THE_CALL = (Step.INFORMATION_REVIEW, Step.PAYLOAD_REVIEW)

DOUBT_SECONDS = 3600.0
"""The second lease of a doubted call. A shorter outage of all workers bothers no person."""


def on_worker_answer(command: c.FromWorker, run: Run) -> e.Event:
    """Return a worker's answer to the attempt that is leased to it. Raises StaleCommand."""
    about = {"work_id": command.work_id, "attempt": command.attempt}
    if run.stopping is not None and run.stopping.is_named_by(command):
        return cancelled_calls.on_worker_answer(command, run)
    match command:
        case c.RecordPreparation(preparation=preparation):
            _leased(command, run, OrderKind.PREPARE)
            return e.RunPrepared(**about, preparation=preparation)
        case c.RecordCheck(checked=checked):
            _leased(command, run, OrderKind.CHECK)
            return _checked(checked, run, about)
        case c.RecordExecution(execution=execution):
            _leased(command, run, OrderKind.CALL)
            return e.CallSucceeded(**about, execution=execution)
        case c.RecordFailure(failure=failure):
            return _failed(_leased(command, run, *OrderKind), failure)
        case c.NoteCall(provider_call_id=call_id):
            _leased(command, run, OrderKind.CALL)
            return e.CallNoted(**about, provider_call_id=call_id)
        case c.ExtendLease():
            _leased(command, run, *OrderKind)
            return extend_lease(command, run)
        case c.RecordStop(ending=Ending.NOT_BEGUN, spent=spent, retry_in=seconds):
            attempt = _leased(command, run, OrderKind.CALL, OrderKind.PREPARE)
            if not attempt.may_call:
                raise StaleCommand("give back the preparation of", run.view)
            if seconds is None:
                return e.CallStopped(**about, ending=Ending.NOT_BEGUN, spent=spent)
            return postpone(attempt, run, command.at, seconds)
        case c.RecordStop():
            raise StaleCommand("stop the call of", run.view)
        case _:
            assert_never(command)


def prepared_in_one(command: c.RecordPreparation, run: Run) -> tuple[e.Event, ...]:
    """Return a preparation, the steps that it passes, and the call that its worker makes now. Raises StaleCommand.

    A run that was cancelled before it heard of the call records what is called: the call's end is on its way.
    """
    about, prepared = {"work_id": command.work_id, "attempt": command.attempt}, command.preparation
    if run.stopping is not None and run.stopping.is_named_by(command):
        return (e.RunPrepared(**about, preparation=prepared),)
    attempt = _leased(command, run, OrderKind.PREPARE)
    verdicts = [(step, review(step, prepared.signals, run.config)) for step in _BEFORE_THE_CALL]
    if not attempt.in_one or prepared.is_in_question or any(isinstance(verdict, Pause) for _, verdict in verdicts):
        raise StaleCommand("take a call that nobody ordered from", run.view)
    passed = [
        e.StepPassed(step=step, reasons=v.reasons) for step, v in verdicts if isinstance(v, Pass) and not v.silent
    ]
    return (
        e.RunPrepared(**about, preparation=prepared),
        *passed,
        order_call_in_one(run, command.at, attempt, prepared),
    )


def on_lease_end(command: c.ExpireLease, run: Run) -> e.Event:
    """Return what follows from a lease that was not extended in time. Raises StaleCommand."""
    if run.stopping is not None:
        return cancelled_calls.on_lease_end(command, run.stopping, run)
    attempt = _awaited(command, run, *OrderKind)
    if attempt.lease_until is None or command.at < attempt.lease_until:
        raise StaleCommand("end the lease of", run.view)
    return _lost(attempt, run, command.at)


def on_retry_due(command: c.RetryWork, run: Run) -> e.Event:
    """Return the order of a scheduled attempt whose back-off is over. Raises StaleCommand."""
    attempt = _awaited(command, run, *OrderKind)
    if attempt.retry_at is None or command.at < attempt.retry_at or run.view.paused:
        raise StaleCommand("try again", run.view)
    match attempt.kind:
        case OrderKind.PREPARE:
            return order_preparation(run, command.at, attempt)
        case OrderKind.CHECK:
            return order_check(run, command.at, attempt, step=run.unchecked or Step.PAYLOAD_REVIEW)
        case OrderKind.CALL:
            return order_call(run, command.at, attempt)
        case _:
            assert_never(attempt.kind)


def _checked(checked: Checked, run: Run, about: dict[str, Any]) -> e.SubjectChecked:
    reasons = review_edit(checked.signals, run.config, invalid=bool(errors_in(checked.issues)))
    return e.SubjectChecked(**about, step=run.unchecked or Step.PAYLOAD_REVIEW, checked=checked, reasons=reasons)


def _awaited(command: c.FromWorker | c.ExpireLease | c.RetryWork, run: Run, *kinds: OrderKind) -> Attempt:
    attempt = run.attempt
    if attempt is None or not attempt.is_named_by(command) or attempt.kind not in kinds:
        raise StaleCommand(f"take an answer to {command.work_id}, attempt {command.attempt}, from", run.view)
    return attempt


def _leased(command: c.FromWorker, run: Run, *kinds: OrderKind) -> Attempt:
    attempt = _awaited(command, run, *kinds)
    if attempt.lease_until is None:
        raise StaleCommand(
            f"take an answer to {attempt.work_id} before attempt {attempt.number} is ordered from", run.view
        )
    return attempt


_FAILED: dict[OrderKind, type[e.PreparationFailed | e.CheckFailed | e.CallFailed]] = {
    OrderKind.PREPARE: e.PreparationFailed,
    OrderKind.CHECK: e.CheckFailed,
    OrderKind.CALL: e.CallFailed,
}


def _failed(attempt: Attempt, failure: Failure) -> e.PreparationFailed | e.CheckFailed | e.CallFailed:
    return _FAILED[attempt.kind](work_id=attempt.work_id, attempt=attempt.number, failure=failure)


def _lost(attempt: Attempt, run: Run, at: datetime) -> e.Event:
    """Return the failure of an attempt without an answer; a call whose repetition could do harm is doubted first."""
    message = f"no worker said anything for {run.config.lease_seconds:g} s"
    failure = Failure(code="worker_lost", message=message, retryable=True, uncertain=attempt.is_running_call)
    if is_uncertain(run, Failed(attempt, failure)) and not attempt.doubted:
        until = at + timedelta(seconds=DOUBT_SECONDS)
        return e.CallDoubted(work_id=attempt.work_id, attempt=attempt.number, lease_until=until)
    return _failed(attempt, failure)
