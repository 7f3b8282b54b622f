"""The same answer in each vendor's words: what a model said, in which form, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from provider_worker.providers.anthropic.responses import audit_message
from provider_worker.providers.base import Audit
from provider_worker.providers.chat_completions.responses import audit_chat
from provider_worker.providers.huggingface.responses import audit_completion
from provider_worker.providers.openai.responses.answers import audit_response
from provider_worker.providers.pricing import PriceTable

FREE = PriceTable({}, "")
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
Audited = Callable[..., Audit]


class Form(NamedTuple):
    """What the model said: a text, a refusal, or the arguments of a call of `save`. `is_json`: JSON was asked for."""

    text: str = ""
    refusal: str = ""
    arguments: str | None = None
    is_json: bool = False


class Vendor(NamedTuple):
    """A protocol: how it asks, how it answers, and its word for each end."""

    payload: Callable[[Form], dict[str, Any]]
    answer: Callable[[Form, str], Any]
    audit: Audited
    ends: Mapping[str, str]

    def audited(self, form: Form, end: str) -> Audit:
        """Return what an answer of this form and end amounts to."""
        answer = self.answer(form, self.ends[end])
        return self.audit(FREE, self.payload(form), answer, as_json=form.is_json)


def _chat_payload(form: Form) -> dict[str, Any]:
    tool = {"type": "function", "function": {"name": "save", "parameters": SCHEMA}}
    asked = {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}}
    return {"model": "m", **(asked if form.is_json else {"tools": [tool]})}


def _chat(form: Form, end: str) -> Any:
    call = {"id": "c1", "type": "function", "function": {"name": "save", "arguments": form.arguments}}
    message = {"role": "assistant", "content": form.text or None, "refusal": form.refusal or None}
    calls = {} if form.arguments is None else {"tool_calls": [call]}
    return {"choices": [{"index": 0, "finish_reason": end, "message": {**message, **calls}}]}


def _response_payload(form: Form) -> dict[str, Any]:
    tool = {"type": "function", "name": "save", "parameters": SCHEMA}
    asked = {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    return {"model": "m", "input": "Hi", **(asked if form.is_json else {"tools": [tool]})}


def _response(form: Form, end: str) -> Any:
    said = {"type": "refusal", "refusal": form.refusal} if form.refusal else {"type": "output_text", "text": form.text}
    call = {"type": "function_call", "call_id": "c1", "name": "save", "arguments": form.arguments}
    message = {"type": "message", "content": [said]}
    ended = {"status": "completed"} if end == "completed" else {"status": "incomplete"}
    details = {} if end == "completed" else {"incomplete_details": {"reason": end}}
    return {**ended, **details, "output": [message if form.arguments is None else call]}


def _anthropic_payload(form: Form) -> dict[str, Any]:
    return {"model": "m", "tools": [{"name": "answer" if form.is_json else "save", "input_schema": SCHEMA}]}


def _anthropic(form: Form, end: str) -> Any:
    """Return a message as the stream's reader makes it: an input that is no JSON stays text."""
    if form.refusal:
        return {"content": [{"type": "text", "text": form.refusal}], "stop_reason": "refusal"}
    if form.is_json:
        block = {"type": "tool_use", "id": "t1", "name": "answer", "input": _input(form.text)}
    elif form.arguments is not None:
        block = {"type": "tool_use", "id": "t1", "name": "save", "input": _input(form.arguments)}
    else:
        block = {"type": "text", "text": form.text}
    return {"content": [block], "stop_reason": end}


def _input(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _generation(form: Form, end: str) -> Any:
    return [{"generated_text": form.text, "details": {"finish_reason": end, "generated_tokens": 9}}]


_CHAT_ENDS = {"whole": "stop", "cut": "length", "filtered": "content_filter"}

VENDORS: Mapping[str, Vendor] = {
    "chat": Vendor(_chat_payload, _chat, audit_chat, _CHAT_ENDS),
    "responses": Vendor(
        _response_payload,
        _response,
        audit_response,
        {"whole": "completed", "cut": "max_output_tokens", "filtered": "content_filter"},
    ),
    "anthropic": Vendor(_anthropic_payload, _anthropic, audit_message, {"whole": "end_turn", "cut": "max_tokens"}),
    "huggingface": Vendor(_chat_payload, _chat, audit_completion, {**_CHAT_ENDS, "whole": "eos_token"}),
    "generation": Vendor(_chat_payload, _generation, audit_completion, {"whole": "eos_token", "cut": "length"}),
}
