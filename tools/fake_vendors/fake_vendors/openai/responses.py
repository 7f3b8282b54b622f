"""The fake OpenAI's responses, as one object or as the events of a stream. Remembers none."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from fake_vendors.faults import texts_of
from fake_vendors.openai.chat import CREATED, said_to, tokens_of
from fake_vendors.streams import Script, event, words_of

_MOVED = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "functions": "tools",
}
_FEWEST_TOKENS = 16
_BROKEN = {"code": "server_error", "message": "The server had an error."}

_Object = dict[str, Any]


def wrong_with(body: Mapping[str, Any]) -> str | None:
    """Return the reason to refuse a body by the documented interface, or None."""
    for name, now in _MOVED.items():
        if name in body:
            return f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{now}'."
    if body.get("background") and body.get("store") is False:
        return "Background mode requires store=true."
    most = body.get("max_output_tokens")
    too_few = isinstance(most, int) and most < _FEWEST_TOKENS
    return "Invalid 'max_output_tokens': integer below minimum value." if too_few else None


def prompt_of(body: Mapping[str, Any]) -> str:
    """Return the texts of a response's input."""
    given = body.get("input")
    return given if isinstance(given, str) else texts_of(given)


def response(body: Mapping[str, Any], fault: str | None) -> _Object:
    """Return a response that has ended. Raises UnusableSchema and CannotInvent."""
    prompt, item = prompt_of(body), f"msg_{uuid4().hex}"
    text = said_to(prompt, (body.get("text") or {}).get("format") or {})
    part: _Object = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    ended: _Object = {"status": "completed", "error": None, "incomplete_details": None}
    match fault:
        case "empty":
            part["text"] = ""
        case "length":
            ended |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        case "content_filter":
            part["text"] = ""
            ended |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
        case "refusal":
            part = {"type": "refusal", "refusal": "I cannot help with that."}
    message = {"type": "message", "id": item, "status": "completed", "role": "assistant", "content": [part]}
    given, made = tokens_of(prompt, part.get("text", ""))
    usage = {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": given + made,
    }
    if fault == "failed":
        return {**_frame(body), "status": "failed", "error": _BROKEN}
    return {**_frame(body), **ended, "output": [message], "usage": usage}


def begun(whole: Mapping[str, Any], status: str) -> _Object:
    """Return a response as it was before it ended."""
    unknown: _Object = {"output": [], "usage": None, "error": None, "incomplete_details": None}
    return {**whole, **unknown, "status": status}


def script_of(whole: Mapping[str, Any]) -> Script:
    """Return the script of a response of one message at most."""
    numbers = itertools.count()

    def told(kind: str, **members: Any) -> bytes:
        return event({"type": kind, "sequence_number": next(numbers), **members}, kind)

    first = begun(whole, "queued" if whole["background"] else "in_progress")
    before = [told("response.created", response=first)]
    before.append(told("response.in_progress", response={**first, "status": "in_progress"}))
    ended = f"response.{whole['status']}"
    if not whole["output"]:
        return Script(before, [], [told(ended, response=whole)], told("error", **_BROKEN, param=None), lambda _: b"")
    (message,) = whole["output"]
    (part,) = message["content"]
    kind, member = ("refusal", "refusal") if part["type"] == "refusal" else ("output_text", "text")
    place = {"item_id": message["id"], "output_index": 0, "content_index": 0}
    empty = {**message, "status": "in_progress", "content": []}
    before.append(told("response.output_item.added", output_index=0, item=empty))
    before.append(told("response.content_part.added", **place, part={**part, member: ""}))
    words = words_of(part[member]) if part[member] else []
    pieces = [told(f"response.{kind}.delta", **place, delta=word, logprobs=[]) for word in words]
    after = [
        told(f"response.{kind}.done", **place, **{member: part[member]}),
        told("response.content_part.done", **place, part=part),
        told("response.output_item.done", output_index=0, item=message),
        told(ended, response=whole),
    ]
    error = told("error", **_BROKEN, param=None)
    return Script(before, pieces, after, error, lambda text: told("response.output_text.delta", **place, delta=text))


def _frame(body: Mapping[str, Any]) -> _Object:
    return {
        "id": f"resp_{uuid4().hex}",
        "object": "response",
        "created_at": CREATED,
        "background": body.get("background") is True,
        "model": body["model"],
        "instructions": body.get("instructions"),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": [],
        "usage": None,
    }
