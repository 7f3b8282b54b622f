"""Calls that go on after their run is over. Their answer changes no result, but their cost is recorded."""

from __future__ import annotations

from decimal import Decimal
from typing import assert_never

from contracts.providers.call import Ending, Failure, Spent
from contracts.runs import commands as c
from contracts.runs import events as e
from orchestrator.runs.attempts.orders import extend_lease
from orchestrator.runs.refusals import StaleCommand
from orchestrator.runs.state import Attempt, OrderKind, Run


def on_worker_answer(command: c.FromWorker, run: Run) -> e.Event:
    """Return what a worker says of the call that is to stop: it still runs, or how it ended and what it cost."""
    about = {"work_id": command.work_id, "attempt": command.attempt}
    match command:
        case c.RecordStop(ending=ending, spent=spent, provider_request_id=request_id):
            return e.CallStopped(**about, ending=ending, spent=spent, provider_request_id=request_id)
        case c.RecordExecution(execution=x):
            # The answer overtook the order to stop: it was paid for, but it is not the run's result.
            spent, request_id = Spent(usage=x.usage, cost=x.cost), x.provider_request_id
            return e.CallStopped(**about, ending=Ending.COMPLETED, spent=spent, provider_request_id=request_id)
        case c.RecordFailure(failure=failure):
            return e.CallStopped(**about, ending=Ending.FAILED, spent=_spent_on(failure), failure=failure)
        case c.ExtendLease():
            return extend_lease(command, run)
        case c.NoteCall(provider_call_id=call_id):
            return e.CallNoted(**about, provider_call_id=call_id)
        case c.RecordPreparation(in_one=False) if run.stopping is not None and run.stopping.kind is OrderKind.PREPARE:
            # Something about the payload was in question, so its worker makes no call.
            return e.CallStopped(**about, ending=Ending.NOT_BEGUN, spent=Spent(cost=Decimal(0)))
        case c.RecordPreparation() | c.RecordCheck():
            raise StaleCommand("prepare", run.view)
        case _:
            assert_never(command)


def _spent_on(failure: Failure) -> Spent:
    came = failure.received
    return Spent() if came is None else Spent(usage=came.usage, cost=came.cost, estimated=came.estimated)


def on_lease_end(command: c.ExpireLease, call: Attempt, run: Run) -> e.CallStopped:
    """Return that the end of the call is unknown. Raises StaleCommand."""
    if not call.is_named_by(command) or call.lease_until is None or command.at < call.lease_until:
        raise StaleCommand("end the lease of", run.view)
    return e.CallStopped(work_id=call.work_id, attempt=call.number, ending=Ending.UNKNOWN, spent=Spent())
