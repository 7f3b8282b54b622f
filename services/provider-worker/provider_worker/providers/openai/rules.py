"""OpenAI's rules beyond its schema, with their mends. Other servers have rules of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contracts.providers.call import Issue
from provider_worker.providers.payload_schema import at, not_taken

_REASONING = re.compile(r"^(o\d|gpt-(5|6))")
_NEEDS_NO_REASONING = ("temperature", "top_p", "logprobs", "top_logprobs")
_ONLY_DEFAULT = {"temperature": 1, "top_p": 1}


def reasoning_issues(payload: Mapping[str, Any]) -> list[Issue]:
    """Name the members that reasoning models refuse: sampling parameters while they reason, and `max_tokens`."""
    model = payload.get("model")
    if not isinstance(model, str) or not _REASONING.match(model) or "chat-latest" in model:
        return []
    is_response = "input" in payload
    issues = []
    if "max_tokens" in payload:
        name = "max_output_tokens" if is_response else "max_completion_tokens"
        message = f"{model} takes {name} in place of max_tokens."
        issues.append(not_taken("max_tokens", message, {"max_tokens": None, name: payload["max_tokens"]}))
    effort = at(payload, ["reasoning", "effort"]) if is_response else payload.get("reasoning_effort")
    if effort != "none":
        issues += [
            not_taken(name, f"{model} does not take {name} while it reasons.", {name: None})
            for name in _NEEDS_NO_REASONING
            if name in payload and payload[name] != _ONLY_DEFAULT.get(name, False)
        ]
    return issues


def background_issues(payload: Mapping[str, Any]) -> list[Issue]:
    """Name the member that background responses refuse: `store: false`, since they are fetched later."""
    if payload.get("background") is not True or payload.get("store") is not False:
        return []
    return [not_taken("store", "A response in the background is stored until it is fetched.", {"store": None})]
