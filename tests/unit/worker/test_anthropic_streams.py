"""The events of Anthropic's streams become a message; a message that was cut short has its cost."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import pytest

from contracts.providers.call import Spent
from provider_worker.providers.anthropic.prices import spent
from provider_worker.providers.anthropic.stream import Event, read_stream
from provider_worker.providers.base import ProviderError
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.progress import Progress, Unfinished

PRICES = PriceTable.of("provider_worker.providers.anthropic")
START = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {"input_tokens": 9}}}
STOP = {"type": "message_stop"}


def _block(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


async def _events(*told: Any) -> AsyncGenerator[Event]:
    for said in told:
        yield Event("whatever", said if isinstance(said, str) else json.dumps(said))


async def _read(*told: Any, progress: Progress | None = None) -> dict[str, Any]:
    return await read_stream(_events(*told), progress or Progress())


async def test_blocks_that_come_at_once_keep_apart() -> None:
    """Two tools and a text, each with its own pieces, in the order of their places."""
    message = await _read(
        START,
        _block(1, type="tool_use", id="t1", name="a", input={}),
        _block(0, type="text", text="So"),
        _delta(1, type="input_json_delta", partial_json='{"x": "é'),
        _delta(0, type="text_delta", text=" it"),
        _block(2, type="tool_use", id="t2", name="b", input={}),
        _delta(1, type="input_json_delta", partial_json=' and"}'),
        _stop(1),
        _stop(2),
        STOP,
    )
    assert message["content"] == [
        {"type": "text", "text": "So it"},
        {"type": "tool_use", "id": "t1", "name": "a", "input": {"x": "é and"}},
        {"type": "tool_use", "id": "t2", "name": "b", "input": {}},
    ]


async def test_an_input_that_was_cut_off_stays_the_text_that_came() -> None:
    """`max_tokens` ends a tool's input anywhere, and half of it must not pass for an input."""
    pieces = [_delta(0, type="input_json_delta", partial_json=piece) for piece in ('{"a": [1, 2', ', {"b": ')]
    message = await _read(START, _block(0, type="tool_use", input={}), *pieces, _stop(0), STOP)
    assert message["content"][0]["input"] == '{"a": [1, 2, {"b": '


async def test_citations_and_signatures_go_with_their_blocks() -> None:
    """As the unstreamed answer has them."""
    message = await _read(
        START,
        _block(0, type="thinking", thinking="", signature=""),
        _delta(0, type="thinking_delta", thinking="Hm"),
        _delta(0, type="thinking_delta", thinking="."),
        _delta(0, type="signature_delta", signature="c2ln"),
        _stop(0),
        _block(1, type="text", text="", citations=None),
        _delta(1, type="citations_delta", citation={"n": 1}),
        _delta(1, type="citations_delta", citation={"n": 2}),
        _stop(1),
        STOP,
    )
    assert message["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "", "citations": [{"n": 1}, {"n": 2}]},
    ]


async def test_counts_at_the_end_go_over_those_at_the_beginning() -> None:
    """Where there are any: a null says nothing."""
    usage = {"input_tokens": None, "output_tokens": 7, "server_tool_use": {"web_search_requests": 1}}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage}
    progress = Progress()
    message = await _read(START, delta, STOP, progress=progress)
    assert message["usage"] == {"input_tokens": 9, "output_tokens": 7, "server_tool_use": {"web_search_requests": 1}}
    assert message["stop_reason"] == "end_turn"
    assert progress.usage == message["usage"]


async def test_what_is_not_known_is_passed_over() -> None:
    """Events, deltas and members may come to be, as the protocol says."""
    future = [{"type": "ping"}, {"type": "new", "x": 1}, "", _delta(0, type="new_delta", x=1)]
    message = await _read(START, _block(0, type="text", text="Hi", y=2), *future, STOP)
    assert message["content"] == [{"type": "text", "text": "Hi", "y": 2}]


@pytest.mark.parametrize(
    "told",
    ["{", "[]", "7", {}, {"type": "content_block_start"}, _delta(3, type="text_delta")],
    ids=str,
)
async def test_an_event_that_is_none_of_the_protocol_ends_the_call(told: Any) -> None:
    """It says so, and does not break the worker."""
    with pytest.raises(ProviderError) as failed:
        await _read(START, told, STOP)
    assert failed.value.failure.code == "malformed_response"


@pytest.mark.parametrize(
    ("kind", "code", "retryable", "uncertain"),
    [
        ("overloaded_error", "provider_error", True, False),
        ("rate_limit_error", "rate_limited", True, False),
        ("api_error", "provider_error", True, False),
        ("timeout_error", "timeout", True, True),
        ("billing_error", "quota_exceeded", False, False),
        ("invalid_request_error", "request_refused", False, False),
    ],
)
async def test_an_error_before_the_first_word_means_what_it_means_as_an_answer(
    kind: str, code: str, *, retryable: bool, uncertain: bool
) -> None:
    """The server says itself that there is no answer."""
    with pytest.raises(ProviderError) as failed:
        await _read(START, {"type": "error", "error": {"type": kind, "message": "No."}})
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == (code, retryable, uncertain)


def _cut_short(characters: int, usage: dict[str, Any], **members: Any) -> Spent:
    payload = {"model": "claude-haiku-4-5", "max_tokens": 99, "stream": True, **members}
    payload["messages"] = [{"role": "user", "content": "x" * 400}]
    return spent(PRICES, Unfinished("text", None, payload, characters, usage))


def test_what_a_message_cost_is_counted_there_where_it_was_told_and_here_where_it_was_not() -> None:
    """By a token for four characters; no more is charged than was said."""
    counted = _cut_short(1000, {"input_tokens": 90, "output_tokens": 300})
    assert (counted.estimated, counted.cost) == (False, (90 + 300 * 5) / Decimal(1_000_000))
    half = _cut_short(1000, {"input_tokens": 90, "service_tier": "standard"})
    assert (half.estimated, half.cost) == (True, (90 + 250 * 5) / Decimal(1_000_000))
    assert half.usage["service_tier"] == "standard"
    silent = _cut_short(0, {})
    assert (silent.estimated, silent.usage) == (True, {"input_tokens": 100 + 4 // 4, "output_tokens": 0})


def test_a_message_that_does_not_stream_goes_on_unheard() -> None:
    """So it counts with its highest cost; an unknown one has none."""
    assert _cut_short(0, {}, stream=False).cost == (101 + 99 * 5) / Decimal(1_000_000)
    assert spent(PRICES, Unfinished("text", None)).cost is None
