"""Anthropic's rules beyond its schema, each with its mend where there is only one. Other servers have rules of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from contracts.json_pointer import pointer
from contracts.providers.call import Issue, Severity
from provider_worker.providers.payload_schema import at, not_taken

_FIFTH = re.compile(r"\bclaude-(fable|mythos|[a-z]+-([5-9]|\d\d))\b")
"""Models that think by default. While a model thinks no tool can be forced on it, and some of these always think."""

_SAMPLING = ("temperature", "top_p", "top_k")
_FORCED = ("any", "tool")


def takes_force(payload: Mapping[str, Any]) -> bool:
    """Return whether a tool can be forced on the payload's model: not while it thinks, as the fifth generation does by default."""
    thinks = at(payload, ["thinking", "type"]) not in (None, "disabled")
    return not (thinks or _is_fifth(payload))


def anthropic_issues(payload: Mapping[str, Any]) -> list[Issue]:
    """Name the members that Anthropic refuses: sampling parameters, and a forced tool or a begun answer where the model thinks."""
    issues = [
        not_taken(name, f"Anthropic's interface of 2026-10-21 takes no {name}, not even the default.", {name: None})
        for name in _SAMPLING
        if name in payload
    ]
    if at(payload, ["tool_choice", "type"]) in _FORCED and not takes_force(payload):
        freed = {"tool_choice": {"type": "auto", "name": None}}
        issues.append(not_taken("tool_choice", f"No tool can be forced on {payload.get('model')} as it thinks.", freed))
    return [*issues, *_conversation_issues(payload)]


def _conversation_issues(payload: Mapping[str, Any]) -> Iterator[Issue]:
    messages = payload.get("messages")
    roles = [at(message, ["role"]) for message in messages] if isinstance(messages, list) else []
    if roles and roles[0] != "user":
        message = "A conversation begins with the user; what the model is told beforehand is the parameter `system`."
        yield Issue(code="conversation_begins_wrongly", message=message, path="/messages/0/role")
    if roles and roles[-1] == "assistant" and _is_fifth(payload):
        message = f"{payload.get('model')} does not go on with an answer that is begun for it; end with the user."
        yield Issue(code="model_does_not_take", message=message, path=pointer(["messages", len(roles) - 1]))
    for index, (one, other) in enumerate(pairwise(roles)):
        if one == other:
            message = f"Two messages of the {one} in a row are read as one."
            path = pointer(["messages", index + 1, "role"])
            yield Issue(code="roles_do_not_alternate", message=message, path=path, severity=Severity.WARNING)
            return


def _is_fifth(payload: Mapping[str, Any]) -> bool:
    model = payload.get("model")
    return isinstance(model, str) and _FIFTH.search(model) is not None
