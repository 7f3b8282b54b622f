"""The quality of an answer follows one rule, whichever vendor gave it, in whichever form, however it ended."""

from __future__ import annotations

from typing import Any

import pytest

from provider_worker.providers.anthropic.responses import audit_message
from provider_worker.providers.base import ProviderError
from provider_worker.providers.chat_completions.responses import audit_chat
from provider_worker.providers.huggingface.responses import audit_completion
from provider_worker.providers.openai.responses.answers import audit_response
from provider_worker.providers.payload_schema import CompiledSchema
from provider_worker.providers.replicate.responses import audit_prediction

from .answers_by_vendor import FREE, SCHEMA, VENDORS, Form

FINE, UNFINISHED = '{"path": "n.txt"}', '{"path": "n.txt", "text": "only the first ha'

QUALITY: dict[str, tuple[Form, dict[str, float]]] = {
    "a text": (Form(text="It is so."), {"whole": 1.0, "cut": 0.6, "filtered": 0.3}),
    "a refusal": (Form(refusal="I will not."), {"whole": 0.1, "cut": 0.1, "filtered": 0.1}),
    "a call": (Form(arguments=FINE), {"whole": 1.0, "cut": 0.6, "filtered": 0.3}),
    "a call, unfinished": (Form(arguments=UNFINISHED), {"whole": 0.2, "cut": 0.2, "filtered": 0.2}),
    "a call that does not fit its tool": (Form(arguments='{"path": 7}'), {"whole": 0.2, "cut": 0.2, "filtered": 0.2}),
    "a call with no object": (Form(arguments='["n.txt"]'), {"whole": 0.2, "cut": 0.2, "filtered": 0.2}),
    "a call with a number alone": (Form(arguments="7"), {"whole": 0.2, "cut": 0.2, "filtered": 0.2}),
    "a call with nothing": (Form(arguments=""), {"whole": 0.2, "cut": 0.2, "filtered": 0.2}),
    "JSON": (Form(text=FINE, is_json=True), {"whole": 1.0, "cut": 0.6, "filtered": 0.3}),
    "JSON that does not fit": (Form(text='{"path": 7}', is_json=True), {"whole": 0.2, "cut": 0.2, "filtered": 0.2}),
    "JSON, unfinished": (Form(text=UNFINISHED, is_json=True), {"whole": 0.0, "cut": 0.0, "filtered": 0.0}),
    "a refusal to write JSON": (Form(refusal="No.", is_json=True), {"whole": 0.1, "cut": 0.1, "filtered": 0.1}),
}

CASES = [
    pytest.param(vendor, form, end, quality, id=f"{vendor}: {name}, {end}")
    for name, (form, by_end) in QUALITY.items()
    for end, quality in by_end.items()
    for vendor, told in VENDORS.items()
    if end in told.ends and not (vendor == "generation" and (form.refusal or form.arguments is not None))
]


@pytest.mark.parametrize(("vendor", "form", "end", "quality"), CASES)
def test_the_lower_of_form_and_end_is_the_quality(vendor: str, form: Form, end: str, quality: float) -> None:
    """A call that was cut off stops a run as a text does that was cut off, and arguments that are no JSON never pass."""
    audit = VENDORS[vendor].audited(form, end)
    assert audit.signals.response_quality == quality
    assert ("content_filter" in audit.signals.safety_flags) is (end == "filtered")
    if quality >= 0.3:
        assert CompiledSchema(audit.schema).is_valid(audit.response)


def _calling(*arguments: Any, finish: str = "tool_calls", **members: Any) -> dict[str, Any]:
    calls = [
        {"id": f"c{number}", "function": {"name": "save", "arguments": said}} for number, said in enumerate(arguments)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls, **members}
    return {"choices": [{"message": message, "finish_reason": finish}]}


def _quality(raw: Any, payload: Any = None, *, as_json: bool = False) -> float | None:
    return audit_chat(FREE, payload or {}, raw, as_json=as_json).signals.response_quality


@pytest.mark.parametrize(
    ("raw", "quality"),
    [
        (_calling({"path": "n.txt"}), 1.0),
        (_calling('{"a": 1, "a": 2}'), 0.2),
        (_calling('{"a": NaN}'), 0.2),
        (_calling({"a": float("nan")}), 0.2),
        (_calling('{"a": ' * 100_000), 0.2),
        (_calling(None), 0.2),
        (_calling('"a text"'), 0.2),
        (_calling("null"), 0.2),
        (_calling(FINE, UNFINISHED), 0.2),
        (_calling(UNFINISHED, FINE), 0.2),
        (_calling(FINE, FINE, finish="stop"), 1.0),
        (_calling(FINE, finish="unheard-of"), 0.6),
        (_calling(UNFINISHED, refusal="I will not."), 0.1),
        ({"choices": [{"message": {"function_call": {"name": "f", "arguments": "{}"}}, "finish_reason": "stop"}]}, 1.0),
        (
            {"choices": [{"message": {"function_call": {"name": "f", "arguments": "{"}}, "finish_reason": "length"}]},
            0.2,
        ),
        (
            {
                "choices": [
                    {
                        "message": {"tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "free"}}]},
                        "finish_reason": "tool_calls",
                    }
                ]
            },
            1.0,
        ),
        ({"choices": [{"message": {"tool_calls": ["no call"]}, "finish_reason": "tool_calls"}]}, 0.2),
    ],
    ids=lambda given: repr(given)[:80],
)
def test_arguments_of_calls_are_read_strictly(raw: Any, quality: float) -> None:
    """Two members of one name, NaN, no object, no JSON, no arguments: not more than 0.2. The worst of several calls counts."""
    assert _quality(raw) == quality


@pytest.mark.parametrize("end", [{}, {"finish_reason": None}, {"finish_reason": ""}], ids=["none", "null", "empty"])
def test_an_end_that_is_not_told_may_be_a_cut(end: dict[str, Any]) -> None:
    """A whole answer without its end has the quality of one that was cut off, and no end is invented for it."""
    chat = audit_chat(FREE, {}, {"choices": [{"message": {"content": "Half a sen"}, **end}]}, as_json=False)
    stop = {"stop_reason": end.get("finish_reason")}
    message = audit_message(FREE, {}, {"content": [{"type": "text", "text": "Half a sen"}], **stop}, as_json=False)
    for audit in (chat, message):
        assert audit.signals.response_quality == 0.6
        assert audit.response["finish_reason"] is None


def test_a_generation_that_was_not_asked_for_its_end_is_taken_for_whole() -> None:
    """Text Generation Inference tells ends where `details` were asked for, and then each answer has one."""
    whole = audit_completion(FREE, {}, [{"generated_text": "It is so."}], as_json=False)
    assert whole.signals.response_quality == 1.0
    unknown = audit_completion(FREE, {}, [{"generated_text": "It is", "details": {"seed": 1}}], as_json=False)
    assert unknown.signals.response_quality == 0.6


def test_a_tool_that_was_not_offered_is_called_in_vain() -> None:
    """Where a payload says which tools there are; the arguments are held against the tool's own schema."""
    offered = {"tools": [{"type": "function", "function": {"name": "load", "parameters": SCHEMA}}]}
    assert _quality(_calling(FINE), offered) == 0.2
    assert _quality(_calling(FINE), {"tools": [{"type": "function", "function": {"name": "save"}}]}) == 1.0
    assert _quality(_calling(FINE), {"functions": [{"name": "save", "parameters": SCHEMA}]}) == 1.0
    assert (
        _quality(_calling(FINE), {"tools": [{"type": "function", "function": {"name": "save", "parameters": 7}}]})
        == 1.0
    )


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": Infinity}', '{"a": 1}{"a": 2}', ""])
def test_json_is_read_strictly_too(text: str) -> None:
    """What two readers would understand differently is no answer to who asked for JSON."""
    raw = {"choices": [{"message": {"content": text or " \n", "refusal": None}, "finish_reason": "stop"}]}
    if text:
        assert _quality(raw, as_json=True) == 0.0
    else:
        with pytest.raises(ProviderError, match="there is nothing in it"):
            _quality(raw, as_json=True)


def test_of_several_choices_all_are_shown_and_the_worst_counts() -> None:
    """They are all paid for, and all are the result; an empty first one hides no other."""
    texts = [("", "stop"), ("One.", "stop"), ("Tw", "length")]
    raw = {"choices": [{"message": {"content": text}, "finish_reason": end} for text, end in texts]}
    audit = audit_chat(FREE, {}, raw, as_json=False)
    assert audit.response["text"] == "One."
    assert audit.response["alternatives"] == [{"text": "Tw", "finish_reason": "length"}]
    assert audit.signals.response_quality == 0.6


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "status": "incomplete", "content": [{"type": "output_text", "text": "H"}]},
        {"type": "function_call", "status": "incomplete", "name": "f", "arguments": "{}"},
    ],
)
def test_an_item_that_is_incomplete_was_cut_off(item: Any) -> None:
    """Although the response says that it is completed."""
    audit = audit_response(FREE, {}, {"status": "completed", "output": [item]}, as_json=False)
    assert audit.signals.response_quality == 0.6


@pytest.mark.parametrize(
    ("output", "metrics", "given", "logs", "quality"),
    [
        ("Fine.", {"output_token_count": 9}, {"max_tokens": 10}, "", 1.0),
        ("Fine.", {"output_token_count": 10}, {"max_tokens": 10}, "", 0.6),
        (["It", " is"], {"output_token_count": 12}, {"max_new_tokens": "10"}, "", 0.6),
        ("Fine.", {"output_token_count": 10}, {}, "", 1.0),
        ({"n": 7}, {"output_token_count": 10}, {"max_tokens": 10}, "", 1.0),
        ("Fine.", {"output_token_count": 10}, {"max_tokens": 10}, "NSFW content detected", 0.3),
    ],
)
def test_a_prediction_s_text_with_all_its_tokens_was_cut_off(
    output: Any, metrics: Any, given: Any, logs: str, quality: float
) -> None:
    """As far as can be seen: Replicate's models do not say why they ended."""
    raw = {"output": output, "metrics": metrics, "logs": logs}
    assert audit_prediction(raw, None, in_pieces=True, given=given).signals.response_quality == quality


@pytest.mark.parametrize("output", ["  ", [""], ["", " "], [None], [[]], {"text": ""}])
def test_a_prediction_s_output_of_nothing_is_no_answer(output: Any) -> None:
    """However it is wrapped."""
    with pytest.raises(ProviderError, match="cannot be scored"):
        audit_prediction({"output": output}, None, in_pieces=True)
