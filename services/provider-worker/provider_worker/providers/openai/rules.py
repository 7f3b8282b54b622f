"""What OpenAI refuses although its schema allows it, and the mend. Other servers have rules of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contracts.work import Issue

_REASONING = re.compile(r"^(o\d|gpt-(5|6))")
_NEEDS_NO_REASONING = ("temperature", "top_p", "logprobs", "top_logprobs")
_ONLY_DEFAULT = {"temperature": 1, "top_p": 1}


def reasoning_issues(payload: Mapping[str, Any]) -> list[Issue]:
    """Name what reasoning models do not take: sampling parameters while they reason, and `max_tokens`."""
    model = payload.get("model")
    if not isinstance(model, str) or not _REASONING.match(model) or "chat-latest" in model:
        return []
    issues = []
    if "max_tokens" in payload:
        message = f"{model} takes max_completion_tokens in place of max_tokens."
        issues.append(
            _issue("max_tokens", message, {"max_tokens": None, "max_completion_tokens": payload["max_tokens"]})
        )
    if payload.get("reasoning_effort") != "none":
        issues += [
            _issue(name, f"{model} does not take {name} while it reasons.", {name: None})
            for name in _NEEDS_NO_REASONING
            if name in payload and payload[name] != _ONLY_DEFAULT.get(name, False)
        ]
    return issues


def _issue(name: str, message: str, fix: dict[str, Any]) -> Issue:
    return Issue(code="model_does_not_take", message=message, path=f"/{name}", suggested_fix=fix, auto_fixable=True)
