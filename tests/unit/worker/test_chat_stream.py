"""Chunks of a chat become the very object that an unstreamed answer is, and are told while they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.providers.call import Failure
from fake_vendors.chat_events import script_of
from provider_worker.providers.base import ProviderError
from provider_worker.providers.chat_completions.responses import audit_chat
from provider_worker.providers.chat_completions.stream import gather_chat
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.progress import Progress

from .vendor_messages import a_completion

LOST = Failure(code="connection_lost", message="It broke.", retryable=True, uncertain=True)


async def _coming(chunks: Sequence[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        if isinstance(chunk, Failure):
            raise ProviderError(chunk)
        yield chunk


def _gathered(chunks: Sequence[Any], progress: Progress | None = None) -> Any:
    return asyncio.run(gather_chat(_coming(chunks), progress or Progress()))


def _chunk(delta: Any, finish: str | None = None, **members: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **members}],
    }


def _told(completion: dict[str, Any]) -> list[Any]:
    script = script_of(completion, {"stream_options": {"include_usage": True}})
    events = [event.decode().removeprefix("data: ") for event in (*script.before, *script.pieces, *script.after)]
    return [json.loads(event) for event in events if not event.startswith("[DONE]")]


@given(text=st.text(min_size=1), finish=st.sampled_from(["stop", "length", "content_filter"]))
def test_what_a_stream_tells_is_what_the_answer_would_have_been(text: str, finish: str) -> None:
    """Member for member; the pieces of text that are said are the text, and the usage is noted."""
    completion = {**a_completion(text, finish, role="assistant", refusal=None), "id": "c", "object": "chat.completion"}
    completion["choices"][0] |= {"index": 0, "logprobs": None}
    said: list[str] = []
    progress = Progress(said.append)
    assert _gathered(_told(completion), progress) == completion
    assert "".join(said) == text
    assert progress.usage == completion["usage"]


def test_a_refusal_is_told_as_well() -> None:
    """To watchers, and in the answer."""
    completion = a_completion(None, refusal="I will not.")
    completion["choices"][0]["index"] = 0
    said: list[str] = []
    (choice,) = _gathered(_told(completion), Progress(said.append))["choices"]
    assert (choice["message"]["refusal"], "".join(said)) == ("I will not.", "I will not.")


def test_calls_of_tools_are_joined_by_their_place() -> None:
    """Names and ids are said once, or again with every piece; arguments come in pieces. None of it is text."""
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    pieces = [
        [first],
        [{"index": 0, "function": {"arguments": '{"x"'}}],
        [{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}],
        [{"index": 0, "id": "a", "function": {"name": "", "arguments": ":1}"}}],
    ]
    said: list[str] = []
    chunks = [_chunk({"tool_calls": calls}) for calls in pieces]
    (choice,) = _gathered([*chunks, _chunk({}, "tool_calls")], Progress(said.append))["choices"]
    assert choice["message"]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    assert said == []


def test_the_probabilities_of_all_tokens_are_kept() -> None:
    """For the answer's confidence."""
    tokens = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.3}]
    chunks = [_chunk({"content": token["token"]}, logprobs={"content": [token]}) for token in tokens]
    raw = _gathered([_chunk({"role": "assistant"}, logprobs=None), *chunks, _chunk({}, "stop", logprobs=None)])
    assert raw["choices"][0]["logprobs"] == {"content": tokens}
    audit = audit_chat(PriceTable({}, ""), {}, raw, as_json=False)
    assert audit.signals.confidence == pytest.approx(0.8187, abs=1e-4)


def test_of_several_answers_the_first_is_told() -> None:
    """The others are kept in their places in the answer."""
    second = {"index": 1, "delta": {"content": "Or so."}, "finish_reason": "stop"}
    said: list[str] = []
    raw = _gathered([{"choices": [second]}, _chunk({"content": "So."}, "stop")], Progress(said.append))
    assert [choice["message"]["content"] for choice in raw["choices"]] == ["So.", "Or so."]
    assert said == ["So."]


def test_what_a_filter_found_once_stays_found() -> None:
    """Its word on each piece is about that piece alone."""
    flagged, harmless = {"sexual": {"severity": "high"}}, {"sexual": {"severity": "safe"}, "hate": {"severity": "safe"}}
    chunks = [_chunk({"content": "a"}, content_filter_results=results) for results in (harmless, flagged, harmless)]
    raw = _gathered([*chunks, _chunk({}, "stop")])
    assert audit_chat(PriceTable({}, ""), {}, raw, as_json=False).signals.safety_flags == ("nsfw",)


def test_what_servers_add_is_kept() -> None:
    """Members that the protocol does not know, texts in pieces among them; an event that is no chunk is skipped."""
    chunks = [
        {"id": "c", "choices": [], "prompt_filter_results": [1]},
        "ping",
        {"choices": "none"},
        _chunk({"reasoning_content": "Hm", "content": None}),
        _chunk({"reasoning_content": "m.", "content": "A"}, "stop", stop_reason=7),
    ]
    raw = _gathered(chunks)
    assert raw["prompt_filter_results"] == [1]
    assert raw["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "A", "reasoning_content": "Hmm."},
            "finish_reason": "stop",
            "stop_reason": 7,
        }
    ]


BEGUN = _chunk({"role": "assistant", "content": ""})
HEARD = _chunk({"content": "It"})


@pytest.mark.parametrize(
    ("chunks", "code", "retryable", "uncertain"),
    [
        ([BEGUN, {"error": {"message": "Down.", "type": "server_error"}}], "provider_error", True, False),
        ([BEGUN, HEARD, {"error": {"message": "Down.", "type": "server_error"}}], "provider_error", True, True),
        ([BEGUN, {"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}], "rate_limited", True, False),
        ([BEGUN, HEARD, {"error": {"code": "content_filter"}}], "content_filtered", False, False),
        ([BEGUN, {"error": "Down."}], "provider_error", True, False),
        ([BEGUN, LOST], "connection_lost", True, True),
        ([BEGUN, HEARD, LOST], "connection_lost", True, True),
        ([], "connection_lost", True, True),
        ([BEGUN, HEARD], "connection_lost", True, True),
        ([BEGUN, HEARD, Failure(code="response_too_large", message="")], "response_too_large", False, False),
    ],
)
def test_what_was_heard_is_paid_for(chunks: Any, code: str, *, retryable: bool, uncertain: bool) -> None:
    """An error that the server tells of is a known end before the first word, and not tried again by itself after it."""
    with pytest.raises(ProviderError) as failed:
        _gathered(chunks)
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == (code, retryable, uncertain)
