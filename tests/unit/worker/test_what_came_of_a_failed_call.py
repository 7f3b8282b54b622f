"""A call that fails after its first byte is paid for: its failure tells what came, with usage and cost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from artifacts.store import Artifact
from contracts.providers.call import Execution, Failure, Received
from contracts.providers.orders import ExecuteOrder
from contracts.runs.commands import RecordFailure, parse_command
from contracts.topics import MAX_RECORD_BYTES
from provider_worker.execution.execute import CallContext, execute
from provider_worker.execution.received import with_received
from provider_worker.execution.stored_answers import INLINE_BYTES
from provider_worker.messages.answers import executed, failed, to_record
from provider_worker.providers.base import Answer, Audit, Call, Fragment, ProviderError
from provider_worker.providers.openai.responses.answers import received_response
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.progress import Progress, Unfinished
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts

MakeExecute = Callable[..., ExecuteOrder]
KEY = "sk-a-very-secret-key"
LOST = Failure(code="connection_lost", message="It broke.", retryable=True, uncertain=True)
HALF = {"choices": [{"message": {"content": f"It was {KEY}"}}]}
COST = Decimal("0.5")


class HalfWay(SandboxProvider):
    """A provider whose vendor sends `half` and then fails, hangs, or gives an answer that cannot be read."""

    name = "half_way"

    def __init__(self, half: Any, then: Any, *, name: str | None = None, estimates: bool = True) -> None:
        super().__init__()
        self._half, self._then, self._call_id, self._estimates = half, then, name, estimates

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Send, and fail as told."""
        del payload
        call.progress.use({"tokens": 7})
        call.progress.hold(lambda: self._half)
        if self._call_id is not None:
            await call.note(self._call_id)
        if isinstance(self._then, Exception):
            raise self._then
        if self._then is None:
            await asyncio.Event().wait()
        return Answer(self._half, "req-1")

    def received(self, call: Unfinished, raw: Any) -> Fragment:
        """Read the half, and price it."""
        if raw == "a bug":
            raise KeyError(raw)
        said = {"text": f"as far as {KEY}"}
        return Fragment(raw, said, dict(call.usage), COST, estimated=call.payload is not None)

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Find nothing in it, or break."""
        del operation, payload, raw
        raise self._then[0]


async def _failure(
    provider: HalfWay, order: ExecuteOrder, artifacts: MemoryArtifacts | None = None, seconds: float = 60
) -> Failure:
    context = CallContext(seconds=seconds, progress=Progress())

    async def note(name: str) -> None:
        context.provider_call_id = name

    context.note = note
    with pytest.raises(ProviderError) as failed:
        await execute(order, provider, (artifacts or MemoryArtifacts()).of("acme"), Sanitizer([KEY]), context)
    return failed.value.failure


@pytest.mark.parametrize(
    ("then", "code", "estimated"),
    [
        (ProviderError(LOST), "connection_lost", True),
        (ProviderError(Failure(code="provider_error", message="Down.")), "provider_error", False),
        (ZeroDivisionError(), "provider_bug", True),
        (None, "timeout", True),
        ((ProviderError(Failure(code="empty_response", message="Nothing.")),), "empty_response", False),
        ((ZeroDivisionError(),), "provider_bug", False),
    ],
    ids=["connection lost", "reported", "bug", "too long", "nothing in it", "bug in reading"],
)
async def test_however_it_fails_what_came_is_told(
    execute_order: MakeExecute, then: Any, code: str, *, estimated: bool
) -> None:
    """Raw and readable, without keys; the cost is estimated only for a call that may have happened."""
    failure = await _failure(HalfWay(HALF, then), execute_order(), seconds=0.05 if then is None else 60)
    assert failure.code == code
    came = failure.received
    assert came is not None
    assert came.raw["choices"][0]["message"]["content"] == "It was [hidden]"
    assert came.response == {"text": "as far as [hidden]"}
    assert (came.usage, came.cost, came.estimated) == ({"tokens": 7}, COST, estimated)


async def test_a_call_before_whose_first_byte_all_ended_has_nothing_to_tell(execute_order: MakeExecute) -> None:
    """It is as before."""

    class Silent(SandboxProvider):
        async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
            del payload, call
            raise ProviderError(LOST)

    with pytest.raises(ProviderError) as failed:
        await execute(execute_order(), Silent(), MemoryArtifacts().of("acme"), Sanitizer())
    assert failed.value.failure == LOST


async def test_what_is_large_is_told_by_reference(execute_order: MakeExecute) -> None:
    """With its beginning; the whole of it is in the store."""
    artifacts, long = MemoryArtifacts(), {"text": "x" * INLINE_BYTES}
    came = (await _failure(HalfWay(long, ProviderError(LOST)), execute_order(), artifacts)).received
    assert came is not None
    kept = await artifacts.of("acme").read(came.raw["artifact"])
    assert kept is not None
    assert json.loads(kept[1]) == long
    assert came.raw["excerpt"].startswith('{"text":"xxx')


class FullStore:
    """Implements `ports.TenantArtifacts`; takes nothing."""

    async def find(self, ref: str) -> Artifact | None:
        """Find nothing."""

    async def read(self, ref: str) -> tuple[Artifact, bytes] | None:
        """Read nothing."""

    async def keep(self, body: bytes, media_type: str) -> str:
        """Refuse."""
        del body, media_type
        raise ProviderError(Failure(code="storage_unavailable", message="full"))


async def test_without_a_store_the_beginning_is_told(execute_order: MakeExecute) -> None:
    """And the failure is the call's own."""
    progress, long = Progress(), {"text": "x" * INLINE_BYTES}
    progress.hold(lambda: long)
    provider = HalfWay(long, None)
    error = await with_received(LOST, execute_order(), provider, progress, FullStore(), Sanitizer())
    assert error.failure.code == "connection_lost"
    assert error.failure.received is not None
    assert (error.failure.received.raw.keys(), error.failure.received.cost) == ({"size", "excerpt"}, COST)


async def test_numbers_that_no_event_can_hold_hide_nothing(execute_order: MakeExecute) -> None:
    """They are told as an event can hold them, beside the words and the cost."""
    half = {"model": "m", "output": [{"type": "new", "n": [2**60, float("inf")]}], "usage": {"x": 2**60}}

    class Priced(HalfWay):
        def received(self, call: Unfinished, raw: Any) -> Fragment:
            return received_response(PriceTable({}, ""), call, raw)

    came = (await _failure(Priced(half, ProviderError(LOST)), execute_order())).received
    assert came is not None
    assert str(came.usage["x"]) == str(2**60)
    assert came.response["items"][0]["type"] == "new"


async def test_a_bug_in_reading_it_hides_nothing(execute_order: MakeExecute) -> None:
    """What came stands there all the same."""
    came = (await _failure(HalfWay("a bug", ProviderError(LOST)), execute_order())).received
    assert came is not None
    assert (came.raw, came.response, came.usage, came.cost) == ("a bug", {}, {"tokens": 7}, None)


async def test_what_can_still_be_asked_about_has_no_cost_yet(execute_order: MakeExecute) -> None:
    """It would be counted twice: the next attempt finds the same call."""
    came = (await _failure(HalfWay(HALF, ProviderError(LOST), name="p-1"), execute_order())).received
    assert came is not None
    assert (came.response, came.cost, came.usage) == ({"text": "as far as [hidden]"}, None, {})
    assert came.provider_request_id == "p-1"
    ended = ProviderError(Failure(code="prediction_failed", message="It failed."))
    came = (await _failure(HalfWay(HALF, ended, name="p-1"), execute_order())).received
    assert came is not None
    assert came.cost == COST


def test_an_answer_that_does_not_fit_a_record_keeps_its_cost(execute_order: MakeExecute) -> None:
    """And the ref of what came, where it has one; a failure that does not fit likewise."""
    now, big, raw = datetime(2026, 1, 31, tzinfo=UTC), {"x": "y" * MAX_RECORD_BYTES}, {"artifact": "a", "size": 7}
    execution = Execution(raw=raw, response=big, cost=COST, provider_request_id="r")
    failure = Failure(code="c", message="m", received=Received(raw=big, cost=COST, estimated=True))
    for answer, expected in (
        (executed(execute_order(), "sandbox", now, execution), Received(raw=raw, cost=COST, provider_request_id="r")),
        (failed(execute_order(), "sandbox", now, failure), Received(cost=COST, estimated=True)),
    ):
        command = parse_command(to_record(answer).value or b"")
        assert isinstance(command, RecordFailure)
        assert command.failure.received == expected
