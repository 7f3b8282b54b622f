"""The fake OpenAI's answers to chats: the number of characters of the prompt, or JSON by the schema that was asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fake_vendors.faults import texts_of
from provider_worker.providers.sandbox.schema_inventor import invent

CREATED = 1_767_225_600

_CUT_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "save", "arguments": '{"path": "n.txt", "text": "ha'},
}


def completion(body: Mapping[str, Any], fault: str | None) -> dict[str, Any]:
    """Return a completed chat. Raises UnusableSchema and CannotInvent."""
    prompt = texts_of(body.get("messages"))
    content: str | None = said_to(prompt, _format(body.get("response_format") or {}))
    finish, refusal = "stop", None
    more: dict[str, Any] = {}
    match fault:
        case "empty":
            content = ""
        case "length":
            finish = "length"
        case "refusal":
            content, refusal = None, "I cannot help with that."
        case "content_filter":
            content, finish = "", "content_filter"
        case "thoughts_only":
            content, more = None, {"reasoning_content": "Good evening."}
        case "cut_call":
            content, finish, more = None, "length", {"tool_calls": [_CUT_CALL]}
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "refusal": refusal, **more},
        "logprobs": None,
        "finish_reason": finish,
    }
    if fault == "flagged":
        choice["content_filter_results"] = {"sexual": {"filtered": False, "severity": "high"}}
    given, made = tokens_of(prompt, content or "")
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": CREATED,
        "model": body["model"],
        "choices": [choice],
        "usage": {
            "prompt_tokens": given,
            "completion_tokens": made,
            "total_tokens": given + made,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }


def said_to(prompt: str, form: Mapping[str, Any]) -> str:
    """Return the answer to a prompt, in the form that `text.format` names. Raises UnusableSchema and CannotInvent."""
    match form.get("type"):
        case "json_schema":
            return json.dumps(invent(form.get("schema", True), prompt))
        case "json_object":
            return json.dumps({"answer": prompt[:200]})
        case _:
            return f"The fake heard {len(prompt)} characters."


def tokens_of(prompt: str, content: str) -> tuple[int, int]:
    """Return how many tokens were given and made: one for four characters."""
    return max(1, len(prompt) // 4), len(content) // 4


def _format(response_format: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**response_format, **response_format.get("json_schema", {})}
