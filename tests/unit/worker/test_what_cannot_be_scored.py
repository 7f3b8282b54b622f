"""An answer that no rule can score is shown to a person as it came; it is never taken for one that did not come."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from provider_worker.providers.anthropic.responses import audit_message, received_message
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.chat_completions.prices import usage_in
from provider_worker.providers.chat_completions.responses import audit_chat, received_chat
from provider_worker.providers.openai.responses.answers import audit_response, received_response
from provider_worker.providers.payload_schema import CompiledSchema
from provider_worker.providers.pricing import MOST_COUNTED, PriceTable, count, told_cost
from provider_worker.providers.progress import Unfinished

FREE = PriceTable({}, "")
PRICED = PriceTable({"m": {"input": Decimal(1), "output": Decimal(2)}}, "")
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
COST = Decimal(1200) / 1_000_000


def _chat(finish: str = "stop", **message: Any) -> Any:
    choice = {"message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    return {"model": "m", "choices": [choice], "usage": USAGE}


def _response(*items: Any) -> Any:
    return {"model": "m", "status": "completed", "output": list(items), "usage": USAGE}


def _message(*blocks: Any, stop: str = "end_turn") -> Any:
    usage = {"input_tokens": 1000, "output_tokens": 100}
    return {"model": "m", "content": list(blocks), "stop_reason": stop, "usage": usage}


CHATS, RESPONSES, MESSAGES = audit_chat, audit_response, audit_message
EVENING = "Good evening."
PART = {"type": "hologram", "data": [1, 2]}


@pytest.mark.parametrize(
    ("audit", "raw", "shown"),
    [
        (CHATS, _chat(reasoning_content=EVENING), {"reasoning": EVENING}),
        (CHATS, _chat(reasoning=EVENING), {"reasoning": EVENING}),
        (CHATS, _chat(thinking=EVENING), {"reasoning": EVENING}),
        (CHATS, _chat("length", reasoning_content=EVENING), {"reasoning": EVENING}),
        (CHATS, _chat(reasoning_details=[{"type": "reasoning.text", "text": EVENING}]), {"reasoning": EVENING}),
        (CHATS, _chat(thinking_blocks=[{"type": "thinking", "thinking": EVENING}]), {"reasoning": EVENING}),
        (
            CHATS,
            _chat(content=[{"type": "thinking", "thinking": [{"type": "text", "text": EVENING}]}]),
            {"reasoning": EVENING},
        ),
        (CHATS, _chat(content=[PART]), {"items": [PART]}),
        (CHATS, _chat(content={"type": "hologram", "data": [1, 2]}), {"items": [PART]}),
        (CHATS, _chat(hologram="x"), {"items": [{"hologram": "x"}]}),
        (
            CHATS,
            _chat(annotations=[{"type": "url_citation"}]),
            {"items": [{"annotations": [{"type": "url_citation"}]}]},
        ),
        (
            RESPONSES,
            _response({"type": "reasoning", "summary": [{"type": "summary_text", "text": EVENING}]}),
            {"reasoning": EVENING},
        ),
        (RESPONSES, _response({"type": "hologram", "id": "h"}), {"items": [{"type": "hologram", "id": "h"}]}),
        (
            RESPONSES,
            _response({"type": "computer_call", "action": {}}),
            {"items": [{"type": "computer_call", "action": {}}]},
        ),
        (
            RESPONSES,
            _response({"type": "web_search_call", "id": "w"}),
            {"items": [{"steps": [{"type": "web_search_call", "id": "w"}]}]},
        ),
        (RESPONSES, _response({"type": "message", "content": [PART]}), {"items": [PART]}),
        (MESSAGES, _message({"type": "thinking", "thinking": EVENING}), {"reasoning": EVENING}),
        (MESSAGES, _message({"type": "thinking", "thinking": EVENING}, stop="max_tokens"), {"reasoning": EVENING}),
        (MESSAGES, _message(PART), {"items": [PART]}),
        (
            MESSAGES,
            _message({"type": "server_tool_use", "id": "s"}, stop="pause_turn"),
            {"items": [{"steps": [{"type": "server_tool_use", "id": "s"}]}]},
        ),
    ],
)
def test_it_goes_to_a_person_whatever_the_policy_says(audit: Any, raw: Any, shown: Any) -> None:
    """With its words, its items as they are, its usage and its cost. It has no quality, and the reason says so."""
    for as_json in (False, True):
        found: Audit = audit(PRICED, {}, raw, as_json=as_json)
        assert {name: found.response[name] for name in shown} == shown
        assert found.signals.response_quality is None
        (finding,) = found.signals.forced
        assert finding.code == "unscorable_response"
        assert "cannot be scored" in finding.message
        assert (found.usage, found.cost) == (raw["usage"], COST)
        assert CompiledSchema(found.schema).is_valid(found.response)


@pytest.mark.parametrize(
    ("audit", "raw", "shown", "quality"),
    [
        (CHATS, _chat(content=[{"type": "text", "text": "A"}, PART]), {"text": "A", "items": [PART]}, None),
        (
            RESPONSES,
            _response({"type": "message", "content": [{"type": "output_text", "text": "A"}]}, {"type": "new"}),
            {"text": "A", "items": [{"type": "new"}]},
            None,
        ),
        (CHATS, _chat(content=["A", "B"]), {"text": "AB"}, 1.0),
        (CHATS, _chat(content="A", reasoning_content="Hm"), {"text": "A"}, 1.0),
        (CHATS, _chat(content="A", annotations=[{"type": "url_citation"}]), {"text": "A"}, 1.0),
        (
            CHATS,
            _chat(audio={"id": "a", "transcript": "Hi", "data": "AAA="}),
            {"text": "Hi", "audio": {"id": "a", "transcript": "Hi", "data": "AAA="}},
            1.0,
        ),
        (CHATS, _chat(audio={"id": "a", "data": "AAA="}), {"text": "", "audio": {"id": "a", "data": "AAA="}}, 1.0),
        (CHATS, _chat("length", audio={"id": "a", "data": "AAA="}), {"text": ""}, 0.6),
        (
            CHATS,
            _chat(images=[{"type": "image_url", "image_url": {"url": "data:x"}}]),
            {"text": "", "images": [{"type": "image_url", "image_url": {"url": "data:x"}}]},
            1.0,
        ),
        (CHATS, _chat(refusal="No."), {"text": "No.", "refused": True}, 0.1),
        (CHATS, _chat(content=[{"type": "refusal", "refusal": "No."}]), {"text": "No.", "refused": True}, 0.1),
        (
            RESPONSES,
            _response({"type": "image_generation_call", "result": "AAA="}),
            {"text": "", "images": [{"type": "image_generation_call", "result": "AAA="}]},
            1.0,
        ),
        (
            RESPONSES,
            _response(
                {"type": "web_search_call"}, {"type": "message", "content": [{"type": "output_text", "text": "A"}]}
            ),
            {"text": "A"},
            1.0,
        ),
        (
            RESPONSES,
            _response({"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "free"}),
            {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "free"}}]},
            1.0,
        ),
        (
            MESSAGES,
            _message({"type": "server_tool_use"}, {"type": "web_search_tool_result"}, {"type": "text", "text": "A"}),
            {"text": "A"},
            1.0,
        ),
        (CHATS, {"choices": [{"text": "A", "finish_reason": "stop"}]}, {"text": "A"}, 1.0),
        (CHATS, {"choices": [{"delta": {"content": "A"}, "finish_reason": "stop"}]}, {"text": "A"}, 1.0),
    ],
)
def test_every_form_is_shown_and_what_is_unknown_beside_it_too(
    audit: Any, raw: Any, shown: Any, quality: float | None
) -> None:
    """Sounds, pictures and citations are answers; an item of an unknown kind beside a text leaves it without a quality."""
    found = audit(FREE, {}, raw, as_json=False)
    assert {name: found.response[name] for name in shown} == shown
    assert (found.signals.response_quality, found.signals.findings) == (quality, ())


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ({"cost": 0.0123}, "0.0123"),
        ({"cost": "0.0123"}, "0.0123"),
        ({"cost": 0}, "0"),
        ({"cost": {"total_cost": 0.006, "input_tokens_cost": 0.001}}, "0.006"),
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, "0.021"),
        ({"cost": 0.001, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.02}}, "0.001"),
        ({"cost": -1}, None),
        ({"cost": True}, None),
        ({"cost": float("nan")}, None),
        ({"cost": float("inf")}, None),
        ({"cost": 1e300}, None),
        ({"cost": "1e999999999"}, None),
        ({"cost": "much"}, None),
        ({"cost": [1]}, None),
        ({}, None),
    ],
)
def test_a_cost_that_the_server_tells_goes_before_all_prices(told: Any, cost: str | None) -> None:
    """As OpenRouter and Perplexity tell it; one that cannot be true is not believed, and the prices hold."""
    assert told_cost(told) == (None if cost is None else Decimal(cost))
    raw = {**_chat(content="A"), "usage": {**USAGE, **told}}
    assert audit_chat(PRICED, {}, raw, as_json=False).cost == (COST if cost is None else Decimal(cost))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        ("7", 7),
        (" 7 ", 7),
        (7.0, 7),
        (0, 0),
        (-7, None),
        (7.5, None),
        (True, None),
        (None, None),
        ("seven", None),
        (float("nan"), None),
        (MOST_COUNTED + 1, None),
        (10**5000, None),
        ("9" * 50, None),
        ([], None),
        ("-1", None),
    ],
    ids=lambda given: repr(given)[:20] if not isinstance(given, int) else "number",
)
def test_a_count_that_cannot_be_true_is_none(value: Any, number: int | None) -> None:
    """Below nothing, beyond all measure, or no number; a number in a text is one."""
    assert count({"tokens": value}, "tokens") == number


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"usage": USAGE}, USAGE),
        ({"usage": None, "x_groq": {"usage": USAGE}}, USAGE),
        ({"choices": [{"usage": USAGE}]}, USAGE),
        ({"choices": [], "usage": USAGE}, USAGE),
        ({"usage": None}, {}),
        ({"usage": "much"}, {}),
        ([], {}),
        ("text", {}),
    ],
)
def test_usage_is_found_wherever_servers_put_it(raw: Any, usage: Any) -> None:
    """Missing it is empty, and no answer fails for it."""
    assert usage_in(raw) == usage


HALF = "It was a da"
CALLED = {"id": "c1", "function": {"name": "save", "arguments": '{"path": "n'}}


@pytest.mark.parametrize(
    ("received", "raw", "shown"),
    [
        (received_chat, {"model": "m", "choices": [{"message": {"content": HALF}}], "usage": USAGE}, {"text": HALF}),
        (
            received_chat,
            {"model": "m", "choices": [{"message": {"tool_calls": [CALLED]}}], "usage": USAGE},
            {"tool_calls": [CALLED]},
        ),
        (
            received_chat,
            {"model": "m", "choices": [{"message": {"reasoning": HALF}}], "usage": USAGE},
            {"reasoning": HALF},
        ),
        (received_chat, {"model": "m", "choices": [], "usage": USAGE}, {}),
        (
            received_response,
            {
                "model": "m",
                "output": [{"type": "message", "content": [{"type": "output_text", "text": HALF}]}],
                "usage": USAGE,
            },
            {"text": HALF},
        ),
        (
            received_message,
            {
                "model": "m",
                "content": [{"type": "text", "text": HALF}],
                "usage": {"input_tokens": 1000, "output_tokens": 100},
            },
            {"text": HALF},
        ),
    ],
)
def test_what_came_of_a_failed_call_is_read_as_far_as_it_came(received: Any, raw: Any, shown: Any) -> None:
    """Its words, and its usage and cost where they were told."""
    found = received(PRICED, Unfinished("text", "m"), raw)
    assert (found.raw, found.response) == (raw, shown)
    assert (found.usage, found.cost, found.estimated) == (raw["usage"], COST, False)


@pytest.mark.parametrize("received", [received_chat, received_response, received_message])
@pytest.mark.parametrize("raw", [None, "<html>", [], {}, {"choices": 7}, {"output": 7}, {"content": 7}, {"usage": 7}])
def test_whatever_came_is_no_reason_to_break(received: Any, raw: Any) -> None:
    """It is kept as it is; nothing is known of its cost."""
    found = received(PRICED, Unfinished("text", "m"), raw)
    assert (found.raw, found.cost, found.estimated) == (raw, None, False)


def test_half_an_answer_has_the_cost_that_is_estimated_for_it() -> None:
    """By what was sent and what came, as for a call that was stopped."""
    payload = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x" * 400}]}
    found = received_chat(PRICED, Unfinished("text", "m", payload, characters=40), {"choices": []})
    assert (found.usage, found.estimated) == ({"prompt_tokens": 101, "completion_tokens": 10}, True)
    assert found.cost == (101 + 2 * 10) / Decimal(1_000_000)


@pytest.mark.parametrize(
    ("audit", "raw", "code"),
    [
        (CHATS, _chat(), "empty_response"),
        (CHATS, _chat("length"), "empty_response"),
        (CHATS, _chat("content_filter"), "content_filtered"),
        (CHATS, _chat(reasoning_content=" ", content=[], annotations=[], audio=None), "empty_response"),
        (CHATS, {"choices": [], "usage": USAGE}, "malformed_response"),
        (RESPONSES, _response({"type": "reasoning", "summary": []}), "empty_response"),
        (MESSAGES, _message({"type": "thinking", "thinking": ""}), "empty_response"),
    ],
)
def test_only_an_answer_with_nothing_in_it_is_a_failure(audit: Any, raw: Any, code: str) -> None:
    """Its message says that it cannot be scored, or why there is nothing."""
    with pytest.raises(ProviderError) as failed:
        audit(FREE, {}, raw, as_json=False)
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == (code, False, False)
    assert "did not come" not in failure.message
