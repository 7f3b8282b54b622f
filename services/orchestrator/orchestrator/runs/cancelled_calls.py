"""What becomes of a call that goes on though its run is over: nobody waits for its answer, but what it cost is recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from contracts.providers.call import Ending, Spent
from contracts.runs import commands as c
from contracts.runs import events as e
from orchestrator.runs.commit import Story
from orchestrator.runs.refusals import StaleWork
from orchestrator.runs.state import Run, Work


def is_about(command: c.FromWorker | c.ExpireLease | c.RetryWork, work: Work | None) -> bool:
    """Say whether a command is about this attempt of this work."""
    return work is not None and (work.work_id, work.attempt) == (command.work_id, command.attempt)


def wind_up(command: c.FromWorker, story: Story) -> None:
    """Record what a worker says of the call that is to stop: that it is still at it, or how it ended and what it cost."""
    about = {"work_id": command.work_id, "attempt": command.attempt}
    match command:
        case c.RecordStop(ending=ending, spent=spent, provider_request_id=request_id):
            story.tell(e.CallStopped(**about, ending=ending, spent=spent, provider_request_id=request_id))
        case c.RecordExecution(execution=x):
            # The answer was faster than the wish to stop. It was paid for; it is nobody's result any more.
            spent = Spent(usage=x.usage, cost=x.cost)
            request_id = x.provider_request_id
            story.tell(e.CallStopped(**about, ending=Ending.COMPLETED, spent=spent, provider_request_id=request_id))
        case c.RecordFailure(failure=failure):
            story.tell(e.CallStopped(**about, ending=Ending.FAILED, spent=Spent(), failure=failure))
        case c.ExtendLease():
            story.tell(lease_extended(command, story.run))
        case c.NoteCall(provider_call_id=call_id):
            story.tell(e.CallNoted(**about, provider_call_id=call_id))
        case c.RecordPreparation():
            raise StaleWork("prepare", story.run.view)
        case _:
            assert_never(command)


def give_up(command: c.ExpireLease, work: Work, story: Story) -> None:
    """Record that nobody said how the call ended."""
    if not is_about(command, work) or work.lease_until is None or command.at < work.lease_until:
        raise StaleWork("end the lease of", story.run.view)
    about = {"work_id": work.work_id, "attempt": work.attempt}
    story.tell(e.CallStopped(**about, ending=Ending.UNKNOWN, spent=Spent()))


def lease_extended(command: c.ExtendLease, run: Run) -> e.LeaseExtended:
    """Return that the lease runs anew."""
    until = command.at + timedelta(seconds=run.config.lease_seconds)
    return e.LeaseExtended(work_id=command.work_id, attempt=command.attempt, lease_until=until)
