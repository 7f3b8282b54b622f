"""Answers that cannot be scored, and answers of which a part came, by every vendor's own SDK over HTTP on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from contracts.json_values import digest
from contracts.providers.call import Execution, Failure
from contracts.providers.orders import ExecuteOrder
from fake_vendors.anthropic import FakeAnthropic
from fake_vendors.faults import FakeServer, Told
from fake_vendors.huggingface import FakeHuggingFace
from fake_vendors.openai import FakeOpenAI
from fake_vendors.replicate import FakeReplicate
from provider_worker.execution.execute import CallContext, execute
from provider_worker.providers.anthropic import AnthropicProvider
from provider_worker.providers.base import AIProvider, ProviderError
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.remote_job import PollSchedule
from provider_worker.providers.replicate import ReplicateProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts

from .predictions import PAINTER
from .running_worker import serving

KEY = "sk-test-very-secret-key"
USED = {"prompt_tokens": 1000, "completion_tokens": 100}
COST = Decimal(1200) / 1_000_000
PRICES = '{"%s": {"m": {"input": "1", "output": "2"}}}'


class Bench:
    """A vendor's provider, the fake that it calls, and one call after another."""

    def __init__(
        self, fake: FakeServer, provider: AIProvider, payload: dict[str, Any], operation: str = "text"
    ) -> None:
        self.fake = fake
        self._provider = provider
        self._payload = payload
        self._operation = operation

    async def call(self, *told: Told, **members: Any) -> Execution | Failure:
        """Make one call, which is answered as told."""
        self.fake.told[:] = told
        payload = {**self._payload, **members}
        order = ExecuteOrder(
            run_id=uuid4(), work_id="w", attempt=1, tenant="acme", deadline="2030-01-01T00:00:00Z", lease_seconds=60,
            provider=self._provider.name, model="m", operation=self._operation, payload=payload, payload_sha256=digest(payload),
        )  # fmt: skip
        context = CallContext()

        async def note(name: str) -> None:
            context.provider_call_id = name

        context.note = note
        artifacts = MemoryArtifacts().of("acme")
        try:
            return await execute(order, self._provider, artifacts, Sanitizer([KEY]), context)
        except ProviderError as error:
            return error.failure

    async def failing(self, *told: Told, **members: Any) -> Failure:
        """Make a call that fails."""
        failure = await self.call(*told, **members)
        assert isinstance(failure, Failure)
        return failure

    async def close(self) -> None:
        """Close the connections."""
        await self._provider.close()


CHAT = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
MAKE: dict[str, Callable[[str, Path], Any]] = {
    "openai": lambda url, own: (OpenAIProvider(KEY, f"{url}/v1", own), CHAT),
    "responses": lambda url, own: (
        OpenAIProvider(KEY, f"{url}/v1", own),
        {"model": "m", "input": "Hi", "store": False},
    ),
    "anthropic": lambda url, own: (AnthropicProvider(KEY, url, own), {**CHAT, "max_tokens": 99}),
    "huggingface": lambda url, own: (HuggingFaceProvider(KEY, url, own), CHAT),
    "replicate": lambda url, own: (
        ReplicateProvider(KEY, url, own, schedule=PollSchedule(first=0.001, longest=0.01, patience=20)),
        {"version": PAINTER, "input": {"prompt": "Hi"}},
    ),
}
FAKES: dict[str, Callable[[], FakeServer]] = {
    "openai": FakeOpenAI,
    "responses": FakeOpenAI,
    "anthropic": FakeAnthropic,
    "huggingface": FakeHuggingFace,
    "replicate": FakeReplicate,
}


@contextlib.asynccontextmanager
async def _bench(name: str, folder: Path) -> AsyncIterator[Bench]:
    own = folder / "prices.json"
    own.write_text(PRICES % {"responses": "openai"}.get(name, name))
    fake = FAKES[name]()
    async with serving(fake.app()) as url:
        provider, payload = MAKE[name](url, own)
        bench = Bench(fake, provider, payload, "predict" if name == "replicate" else "text")
        yield bench
        await bench.close()


@pytest_asyncio.fixture
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """Give the bench of the vendor that a test is about."""
    async with _bench(request.param, tmp_path) as bench:
        yield bench


def _chat(**choice: Any) -> dict[str, Any]:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", **choice}], "usage": USED}


def _delta(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


HALF = [_delta(content="Good "), _delta(content="evening")]
SPENT = {"id": "x", "model": "m", "choices": [], "usage": USED}
CHATS = pytest.mark.parametrize("bench", ["openai", "huggingface"], indirect=True)


@CHATS
@pytest.mark.parametrize("stream", [False, True])
async def test_thoughts_alone_go_to_a_person_with_their_cost(bench: Bench, *, stream: bool) -> None:
    """Streamed and whole, from every server of the protocol."""
    whole = Told.of(_chat(message={"role": "assistant", "content": None, "reasoning_content": "Good evening."}))
    thought = [_delta(reasoning_content="Good "), _delta(reasoning_content="evening."), _delta("stop"), SPENT, "[DONE]"]
    found = await bench.call(Told.stream(*thought) if stream else whole, stream=stream)
    assert isinstance(found, Execution)
    assert found.response["reasoning"] == "Good evening."
    assert [finding.code for finding in found.signals.forced] == ["unscorable_response"]
    assert (found.usage, found.cost) == (USED, COST)


@CHATS
async def test_parallel_calls_of_one_index_are_two(bench: Bench) -> None:
    """And those that were cut off have a quality by which they stop."""
    calls = [
        {"index": 0, "id": f"c{n}", "type": "function", "function": {"name": "save", "arguments": f'{{"n": {n}}}'}}
        for n in (1, 2)
    ]
    told = [*(_delta(tool_calls=[call]) for call in calls), _delta("tool_calls"), SPENT, "[DONE]"]
    found = await bench.call(Told.stream(*told), stream=True)
    assert isinstance(found, Execution)
    assert [call["function"]["arguments"] for call in found.response["tool_calls"]] == ['{"n": 1}', '{"n": 2}']
    assert found.signals.response_quality == 1.0
    calls[1]["function"]["arguments"] = '{"n": '  # type: ignore[index] # a literal of this test
    cut = await bench.call(Told.of(_chat(message={"tool_calls": calls}, finish_reason="length")))
    assert isinstance(cut, Execution)
    assert cut.signals.response_quality == 0.2


@CHATS
@pytest.mark.parametrize(
    ("told", "missing", "code", "told_usage"),
    [
        ([*HALF], 0, "connection_lost", False),
        ([*HALF], 1000, "connection_lost", False),
        ([*HALF, "[DONE]"], 0, "connection_lost", False),
        ([*HALF, SPENT, "[DONE]"], 0, "connection_lost", True),
        ([*HALF, {"model": "m", "type": "done", "usage": USED}], 0, "connection_lost", True),
        ([*HALF, {"error": {"message": "Down.", "type": "server_error"}}], 0, "provider_error", False),
        ([*HALF, '{"choices": [{'], 0, "malformed_response", False),
    ],
    ids=["no end", "cut", "done without an end", "usage without an end", "another shape", "an error", "half an event"],
)
async def test_half_a_stream_is_shown_with_what_it_cost(
    bench: Bench, told: Any, missing: int, code: str, *, told_usage: bool
) -> None:
    """Its words, and usage and cost as told, or else by an estimate that says that it is one."""
    failure = await bench.failing(Told.stream(*told, missing=missing), stream=True)
    assert failure.code == code
    came = failure.received
    assert came is not None
    assert came.response == {"text": "Good evening"}
    assert came.raw["choices"][0]["message"]["content"] == "Good evening"
    assert came.estimated is not told_usage
    assert came.cost == COST if told_usage else came.cost
    if told_usage:
        assert came.usage == USED


@CHATS
@pytest.mark.parametrize(
    ("body", "missing", "code", "response"),
    [
        (b'{"id": "x", "choices": [{"message": {"content": "Good even', 0, "malformed_response", {"text": "Good even"}),
        (b'{"id": "x", "choices": [{"message": {"content": "Good even', 99, "connection_lost", {"text": "Good even"}),
        (b"<html>Welcome to the proxy</html>", 0, "malformed_response", {}),
        (b'{"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}', 0, "malformed_response", {}),
        (
            b'{"choices": [{"message": {"content": ""}}], "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}',
            0,
            "empty_response",
            {},
        ),
    ],
    ids=["half a JSON", "cut", "a page", "no choice", "nothing said"],
)
async def test_what_came_of_a_whole_answer_is_shown(
    bench: Bench, body: bytes, missing: int, code: str, response: Any
) -> None:
    """As JSON as far as it is JSON, else as text; with the usage that it tells."""
    failure = await bench.failing(Told(body, missing=missing))
    assert failure.code == code
    came = failure.received
    assert came is not None
    assert came.response == response
    if b"usage" in body:
        assert (came.usage, came.cost, came.estimated) == (USED, COST, False)
    elif body.startswith(b"<html>"):
        assert (came.raw, came.cost) == ("<html>Welcome to the proxy</html>", None)


@CHATS
async def test_a_server_s_own_cost_is_the_cost(bench: Bench) -> None:
    """In whichever chunk it comes."""
    told = [*HALF, _delta("stop"), {"choices": [], "usage": {**USED, "cost": 0.0375}}, "[DONE]"]
    found = await bench.call(Told.stream(*told), stream=True)
    assert isinstance(found, Execution)
    assert found.cost == Decimal("0.0375")


ITEM = {"type": "message", "id": "i", "content": [], "role": "assistant"}
BEGUN = {"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress", "output": []}}
SAID = {
    "type": "response.output_text.delta",
    "item_id": "i",
    "output_index": 0,
    "content_index": 0,
    "delta": "Good evening",
}


@pytest.mark.parametrize("bench", ["responses"], indirect=True)
async def test_half_a_response_is_shown_with_its_estimated_cost(bench: Bench) -> None:
    """By the events that came before the connection broke."""
    added = {"type": "response.output_item.added", "output_index": 0, "item": ITEM}
    failure = await bench.failing(Told.stream(BEGUN, added, SAID, missing=99), stream=True)
    came = failure.received
    assert (failure.uncertain, came is not None) == (True, True)
    assert came is not None
    assert (came.response, came.estimated) == ({"text": "Good evening"}, True)
    assert came.cost


@pytest.mark.parametrize("bench", ["responses"], indirect=True)
async def test_an_item_of_an_unknown_kind_is_shown_as_it_is(bench: Bench) -> None:
    """With its usage; and a response that failed tells what it had made."""
    answer = {
        "id": "r",
        "model": "m",
        "status": "completed",
        "output": [{"type": "hologram", "data": [7]}],
        "usage": USED,
    }
    found = await bench.call(Told.of(answer))
    assert isinstance(found, Execution)
    assert found.response["items"] == [{"type": "hologram", "data": [7]}]
    assert (found.signals.response_quality, found.cost) == (None, COST)
    broken = {**answer, "status": "failed", "error": {"code": "server_error", "message": "Down."}}
    failure = await bench.failing(Told.of(broken))
    assert failure.received is not None
    assert (failure.received.raw["output"], failure.received.cost) == (answer["output"], COST)


STARTED = {
    "type": "message_start",
    "message": {"id": "x", "model": "m", "content": [], "usage": {"input_tokens": 1000, "output_tokens": 1}},
}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
WORDS = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Good evening"}}


@pytest.mark.parametrize("bench", ["anthropic"], indirect=True)
@pytest.mark.parametrize("missing", [0, 99])
async def test_half_a_message_is_shown_with_its_estimated_cost(bench: Bench, missing: int) -> None:
    """The tokens that were told count as told."""
    failure = await bench.failing(Told.stream(STARTED, BLOCK, WORDS, missing=missing), stream=True)
    came = failure.received
    assert came is not None
    assert (failure.uncertain, came.response, came.estimated) == (True, {"text": "Good evening"}, True)
    assert came.usage == {"input_tokens": 1000, "output_tokens": 3}
    assert came.cost == (1000 + 3 * 2) / Decimal(1_000_000)


@pytest.mark.parametrize("bench", ["anthropic"], indirect=True)
@pytest.mark.parametrize("stream", [False, True])
async def test_thinking_that_used_up_all_tokens_is_shown(bench: Bench, *, stream: bool) -> None:
    """It was paid for; the person is told to allow more of them."""
    found = await bench.call(model="fault-thinking_only", stream=stream)
    assert isinstance(found, Execution)
    assert (found.response["reasoning"], found.response["finish_reason"]) == ("Hm.", "max_tokens")
    (finding,) = found.signals.forced
    assert "allow more tokens" in finding.message


@pytest.mark.parametrize("bench", ["replicate"], indirect=True)
async def test_a_prediction_that_failed_tells_what_it_had_made(bench: Bench) -> None:
    """As it was seen last, without its addresses; one that still runs has no cost yet."""
    seen = {"id": "p", "status": "failed", "error": "It broke.", "output": ["half"], "metrics": {"predict_time": 2.0},
            "started_at": "2026-01-01T00:00:00Z", "hardware": "gpu-t4", "urls": {"get": "x"}}  # fmt: skip
    begun = {"id": "p", "status": "starting", "input": {}}
    failure = await bench.failing(Told.of(begun), Told.of(seen))
    assert failure.code == "prediction_failed"
    came = failure.received
    assert came is not None
    assert (came.raw["output"], came.response, came.usage) == (["half"], {"text": "half"}, {"predict_time": 2.0})
    assert "urls" not in came.raw
    half = b'{"id": "p", "status": "processing", "output": ["ha'
    lost = await bench.failing(Told.of(begun), *[Told(half, missing=99)] * 5)
    assert lost.received is not None
    assert (lost.uncertain, lost.received.cost) == (True, None)
