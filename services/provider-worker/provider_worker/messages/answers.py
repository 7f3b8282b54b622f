"""The worker's answers to a run, as commands.

Their ids derive from the order, so that the same answer sent twice counts once. An extension of a lease has an id of its own.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from contracts.providers.call import Checked, Ending, Execution, Failure, Preparation, Received, Spent
from contracts.providers.call_stream import StopCall
from contracts.providers.orders import Order
from contracts.runs.commands import (
    ExtendLease,
    FromWorker,
    NoteCall,
    RecordCheck,
    RecordExecution,
    RecordFailure,
    RecordPreparation,
    RecordStop,
    command_id,
)
from contracts.topics import COMMANDS, MAX_EVENT_BYTES, MAX_RECORD_BYTES, WORK
from messaging.records import Outgoing, key_of

MAX_ANSWER_BYTES = MAX_RECORD_BYTES * 3 // 4
"""An answer becomes events and a view. Both are larger than it and must fit a record too."""

MAX_IN_ONE_BYTES = MAX_EVENT_BYTES // 2
"""A larger preparation is told before its call is ordered: an event is larger than its answer, and the run refuses one beyond its bound."""


def prepared(order: Order, provider: str, at: datetime, preparation: Preparation) -> FromWorker:
    """Answer with a preparation."""
    return RecordPreparation(**_about(order, provider, at, "record-preparation"), preparation=preparation)


def checked(order: Order, provider: str, at: datetime, facts: Checked) -> FromWorker:
    """Answer with the facts about an edited subject."""
    return RecordCheck(**_about(order, provider, at, "record-check"), checked=facts)


def executed(order: Order, provider: str, at: datetime, execution: Execution) -> FromWorker:
    """Answer with an execution."""
    return RecordExecution(**_about(order, provider, at, "record-execution"), execution=execution)


def failed(order: Order, provider: str, at: datetime, failure: Failure) -> FromWorker:
    """Answer with a failure."""
    return RecordFailure(**_about(order, provider, at, "record-failure"), failure=failure)


def lease_extended(order: Order, provider: str, at: datetime, waits_for: str | None = None) -> FromWorker:
    """Extend the order's lease, and say what the order waits for. Each one is news, by whichever worker has the order now."""
    return ExtendLease(**_about(order, provider, at, "extend-lease", uuid4().hex), waits_for=waits_for)


def noted(order: Order, provider: str, at: datetime, provider_call_id: str) -> FromWorker:
    """Tell by which id the provider can be asked about the call."""
    about = _about(order, provider, at, "note-call", provider_call_id)
    return NoteCall(**about, provider_call_id=provider_call_id)


def stopped(
    order: Order | StopCall, provider: str, at: datetime, ending: Ending, spent: Spent, request_id: str | None = None
) -> FromWorker:
    """Tell that a cancelled run's call has ended, with its cost."""
    about = _about(order, provider, at, "record-stop")
    return RecordStop(**about, ending=ending, spent=spent, provider_request_id=request_id)


def not_begun(order: Order, provider: str, at: datetime, retry_in: float | None = None) -> FromWorker:
    """Tell that a call was never made: its run was cancelled or paused, or there is no room for it for `retry_in` seconds."""
    about = _about(order, provider, at, "record-stop")
    return RecordStop(**about, ending=Ending.NOT_BEGUN, spent=Spent(cost=Decimal(0)), retry_in=retry_in)


def returned(order: Order, deadline: datetime) -> Outgoing:
    """Write an order for `provider.work` again, as it was, for another worker to begin before its lease runs out."""
    body = order.model_copy(update={"deadline": deadline}).model_dump_json().encode()
    return Outgoing(WORK.name, key_of(order.run_id), body)


def to_record(answer: FromWorker) -> Outgoing:
    """Write an answer for `run.commands`. One that is too large becomes a failure that says so."""
    body = _bytes(answer)
    return _record(answer, body if len(body) <= MAX_ANSWER_BYTES else _bytes(_too_large(answer, len(body))))


def to_record_in_one(answer: RecordPreparation) -> Outgoing | None:
    """Write a preparation that is followed by its call, or return None where it is so large that its run might not take it."""
    body = _bytes(answer.changed({"in_one": True}))
    return None if len(body) > MAX_IN_ONE_BYTES else _record(answer, body)


def _bytes(answer: FromWorker) -> bytes:
    return answer.model_dump_json().encode()


def _record(answer: FromWorker, body: bytes) -> Outgoing:
    return Outgoing(COMMANDS.name, key_of(answer.run_id), body)


def _about(order: Order | StopCall, provider: str, at: datetime, kind: str, *more: object) -> dict[str, Any]:
    return {
        "command_id": command_id(kind, order.work_id, order.attempt, *more),
        "run_id": order.run_id,
        "tenant": order.tenant,
        "at": at,
        "actor": f"worker:{provider}",
        "work_id": order.work_id,
        "attempt": order.attempt,
    }


def _too_large(answer: FromWorker, size: int) -> FromWorker:
    code = "payload_too_large" if isinstance(answer, RecordPreparation) else "response_too_large"
    message = f"The worker's answer has {size} bytes; more than {MAX_ANSWER_BYTES} cannot be recorded."
    about = answer.model_dump(include={"run_id", "tenant", "at", "actor", "work_id", "attempt"})
    identity = command_id("record-failure", answer.work_id, answer.attempt)
    failure = Failure(code=code, message=message, received=_bought(answer))
    return RecordFailure(command_id=identity, **about, failure=failure)


def _bought(answer: FromWorker) -> Received | None:
    """Return the cost of an answer that is too large to be told, and its raw form where that is a ref."""
    match answer:
        case RecordExecution(execution=x):
            raw = x.raw if isinstance(x.raw, dict) and x.raw.keys() == {"artifact", "size"} else None
            return Received(raw=raw, cost=x.cost, provider_request_id=x.provider_request_id)
        case RecordFailure(failure=Failure(received=Received() as came)):
            return Received(cost=came.cost, estimated=came.estimated, provider_request_id=came.provider_request_id)
    return None
