"""The worker's answers to runs, and the orders it can read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.providers.call import Execution, Failure, Preparation
from contracts.providers.orders import ExecuteOrder, PrepareOrder
from contracts.runs.commands import RecordFailure, parse_command
from contracts.topics import COMMANDS, MAX_RECORD_BYTES
from provider_worker.messages.answers import executed, failed, lease_extended, prepared, to_record
from provider_worker.messages.orders import RecentOrders, read_order

NOW = datetime(2026, 1, 31, tzinfo=UTC)
MakeExecute = Callable[..., ExecuteOrder]
MakePrepare = Callable[..., PrepareOrder]


def test_saying_something_twice_is_the_same_command(execute_order: MakeExecute) -> None:
    """The id derives from the answer's kind and the attempt, so a repeated answer is recognized.

    An extension of the lease is news each time: a second worker with the same order holds it as long as it needs.
    """
    order = execute_order()
    ids = [executed(order, "sandbox", NOW, Execution(response={"n": n})).command_id for n in (1, 2)]
    assert ids[0] == ids[1]
    other = order.model_copy(update={"attempt": 2})
    said = {ids[0], executed(other, "sandbox", NOW, Execution(response={})).command_id}
    said |= {lease_extended(order, "sandbox", NOW).command_id for _ in range(2)}
    said |= {failed(order, "sandbox", NOW, Failure(code="c", message="m")).command_id}
    assert len(said) == 5


def test_an_answer_goes_to_its_run_in_the_order_s_tenant(execute_order: MakeExecute) -> None:
    """Keyed by the run, with the worker as its actor."""
    order = execute_order(tenant="other")
    record = to_record(failed(order, "sandbox", NOW, Failure(code="c", message="m")))
    command = parse_command(record.value or b"")
    assert (record.topic, record.key) == (COMMANDS.name, str(order.run_id).encode())
    assert (command.tenant, command.actor, command.at) == ("other", "worker:sandbox", NOW)


def test_an_answer_that_does_not_fit_becomes_a_failure_that_says_so(
    execute_order: MakeExecute, prepare_order: MakePrepare
) -> None:
    """Nothing larger than a record is ever sent."""
    big = {"text": "x" * MAX_RECORD_BYTES}
    execution = executed(execute_order(), "sandbox", NOW, Execution(response=big))
    preparation = prepared(
        prepare_order(),
        "sandbox",
        NOW,
        Preparation(provider="sandbox", model=None, operation="text", payload=big, payload_schema={}),
    )
    for answer, code in ((execution, "response_too_large"), (preparation, "payload_too_large")):
        record = to_record(answer)
        assert len(record.value or b"") < 10_000
        command = parse_command(record.value or b"")
        assert isinstance(command, RecordFailure)
        assert (command.failure.code, command.run_id, command.work_id) == (code, answer.run_id, answer.work_id)


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "a\u0000b"},
        {"tenant": ""},
        {"work_id": "w\u0000"},
        {"work_id": "w" * 300},
        {"attempt": 0},
        {"attempt": 2**40},
        {"lease_seconds": 0},
        {"lease_seconds": -1},
        {"lease_seconds": float("inf")},
        {"deadline": "tomorrow"},
        {"kind": "dance.v1"},
        {"payload": 7},
        {"payload": {"n": 10**308}},
        {"run_id": "seven"},
    ],
)
def test_an_order_that_cannot_be_claimed_or_answered_is_malformed(
    execute_order: MakeExecute, change: dict[str, Any]
) -> None:
    """It is found out before it can block the orders around it."""
    order = json.loads(execute_order().model_dump_json())
    read_order(json.dumps(order).encode())
    with pytest.raises(ValueError, match=r".+"):
        read_order(json.dumps({**order, **change}).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null", b'{"kind": "execute.v1"}', b"[" * 100_000])
def test_bytes_that_are_no_order_are_malformed(body: bytes) -> None:
    """For any bytes, reading raises ValueError and nothing else."""
    with pytest.raises(ValueError, match=r".+"):
        read_order(body)


def test_only_the_latest_orders_are_remembered(execute_order: MakeExecute) -> None:
    """Memory is bounded; an order of the other kind or another attempt is another order."""
    seen = RecentOrders(most=2)
    first, second, third = execute_order(), execute_order(), execute_order()
    for order in (first, second, third):
        seen.add(order)
    assert [order in seen for order in (first, second, third)] == [False, True, True]
    assert second.model_copy(update={"attempt": 2}) not in seen
