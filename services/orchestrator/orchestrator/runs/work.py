"""What workers report and what falls due about their work. Everything is held to the work and attempt that the run waits for."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from contracts.providers.call import Failure
from contracts.runs import commands as c
from contracts.runs import events as e
from orchestrator.runs.cancelled_calls import give_up, is_about, lease_extended, wind_up
from orchestrator.runs.commit import Story
from orchestrator.runs.failures import is_uncertain
from orchestrator.runs.flow import order_call, order_preparation
from orchestrator.runs.refusals import StaleWork
from orchestrator.runs.state import Failed, Run, Work, WorkKind

DOUBT_SECONDS = 3600.0
"""How long a doubted call waits for a worker to say anything at all: an outage of all of them bothers no person before that."""


def _awaited(command: c.FromWorker | c.ExpireLease | c.RetryWork, run: Run, *kinds: WorkKind) -> Work:
    """Return the work that the run waits for, if it is this attempt of it; refuse otherwise."""
    work = run.work
    if work is None or not is_about(command, work) or work.kind not in kinds:
        raise StaleWork(f"take an answer to {command.work_id}, attempt {command.attempt}, from", run.view)
    return work


def record(command: c.FromWorker, story: Story) -> None:
    """Record what a worker says of the work in its hands."""
    run, about = story.run, {"work_id": command.work_id, "attempt": command.attempt}
    if is_about(command, run.stopping):
        wind_up(command, story)
        return
    match command:
        case c.RecordPreparation(preparation=preparation):
            _in_hands(_awaited(command, run, WorkKind.PREPARE), run)
            story.tell(e.RunPrepared(**about, preparation=preparation))
        case c.RecordExecution(execution=execution):
            _in_hands(_awaited(command, run, WorkKind.CALL), run)
            story.tell(e.CallSucceeded(**about, execution=execution))
        case c.RecordFailure(failure=failure):
            work = _in_hands(_awaited(command, run, *WorkKind), run)
            story.tell(_failed(work, failure))
        case c.NoteCall(provider_call_id=call_id):
            _in_hands(_awaited(command, run, WorkKind.CALL), run)
            story.tell(e.CallNoted(**about, provider_call_id=call_id))
        case c.ExtendLease():
            _in_hands(_awaited(command, run, *WorkKind), run)
            story.tell(lease_extended(command, run))
        case c.RecordStop():
            raise StaleWork("stop the call of", run.view)
        case _:
            assert_never(command)


def _in_hands(work: Work, run: Run) -> Work:
    if work.lease_until is None:
        raise StaleWork(f"take an answer to {work.work_id} before attempt {work.attempt} is ordered from", run.view)
    return work


def _failed(work: Work, failure: Failure) -> e.Event:
    kind = e.PreparationFailed if work.kind is WorkKind.PREPARE else e.CallFailed
    return kind(work_id=work.work_id, attempt=work.attempt, failure=failure)


def fall_due(command: c.ExpireLease | c.RetryWork, story: Story) -> None:
    """End a lease that nobody extended, or try again what has waited long enough."""
    run = story.run
    match command:
        case c.ExpireLease() if run.stopping is not None:
            give_up(command, run.stopping, story)
        case c.ExpireLease():
            work = _awaited(command, run, *WorkKind)
            if work.lease_until is None or command.at < work.lease_until:
                raise StaleWork("end the lease of", run.view)
            story.tell(_lost(work, story))
        case c.RetryWork():
            work = _awaited(command, run, *WorkKind)
            if work.retry_at is None or command.at < work.retry_at or run.view.paused:
                raise StaleWork("try again", run.view)
            _order_again(work, story)
        case _:
            assert_never(command)


def _lost(work: Work, story: Story) -> e.Event:
    """Return what follows when nobody says anything of work: a call that it would matter to have made twice is doubted first."""
    run = story.run
    silent = f"no worker said anything for {run.config.lease_seconds:g} s"
    failed = Failed(work, Failure(code="worker_lost", message=silent, retryable=True, uncertain=work.is_running_call))
    if is_uncertain(run, failed) and not work.doubted:
        until = story.at + timedelta(seconds=DOUBT_SECONDS)
        return e.CallDoubted(work_id=work.work_id, attempt=work.attempt, lease_until=until)
    return _failed(work, failed.failure)


def _order_again(work: Work, story: Story) -> None:
    run = story.run
    if work.kind is WorkKind.PREPARE:
        story.tell(order_preparation(run, story.at, work.work_id, work.attempt))
    else:
        story.tell(order_call(run, story.at, work.work_id, work.attempt))
