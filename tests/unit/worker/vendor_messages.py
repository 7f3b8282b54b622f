"""Intents and vendors' answers, for the tests that need no server."""

from __future__ import annotations

from typing import Any

from contracts.providers.call import CallIntent


def an_intent(provider: str, model: str, operation: str = "text", **given: Any) -> CallIntent:
    """Return an intent that says hello, with further members."""
    return CallIntent(**{"provider": provider, "model": model, "operation": operation, "prompt": "Hello", **given})


def a_completion(
    content: Any = "Fine.", finish: str = "stop", model: str = "gpt-5.4-mini-2026-03-17", **message: Any
) -> dict[str, Any]:
    """Return an answer of the Chat Completions protocol."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 200}}
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return {"model": model, "choices": [choice], "usage": usage}
