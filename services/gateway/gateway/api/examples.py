"""Examples for the OpenAPI document: bodies that work as they stand on a fresh stack."""

from __future__ import annotations

from typing import Any, NamedTuple


class Example(NamedTuple):
    """A summary of an action, and a body for it."""

    summary: str
    body: dict[str, Any]


STARTS: dict[str, Any] = {
    "call": {
        "summary": "A call, reviewed at two steps",
        "value": {
            "prompt": "a red bicycle in the rain",
            "provider": "sandbox",
            "parameters": {},
            "user_id": "u1",
            "session_id": "s1",
            "labels": {"team": "ads"},
            "hitl_config": {
                "policy": "require_human",
                "allowed_steps": ["payload_review", "response_review"],
                "timeout_seconds": 3600,
                "on_timeout": "fail",
            },
        },
    },
    "thresholds": {
        "summary": "A call that stops where a threshold is crossed",
        "value": {
            "prompt": "name three rivers",
            "provider": "sandbox",
            "hitl_config": {
                "policy": "auto_with_thresholds",
                "review_thresholds": {
                    "confidence_min": 0.8,
                    "safety_flags": ["nsfw", "pii", "copyright"],
                    "payload_changes_max": 3,
                    "response_quality_min": 0.7,
                },
            },
        },
    },
    "agent": {
        "summary": "A call as agent frameworks describe it",
        "value": {
            "run_input": {
                "prompt": "a red bicycle in the rain",
                "user_email": "ada@example.com",
                "agent_email": "painter@example.com",
                "message_type": "text",
                "agent_tool_config": {"sandbox": {"data": {"description": "draws", "example_input": {}}}},
                "hitl_config": {"policy": "require_human"},
            },
            "user_id": "u1",
            "session_id": "s1",
        },
    },
}
"""Bodies of a start, in both shapes."""

ACTIONS: dict[str, Example] = {
    "approve": Example("Approve what waits", {"comment": "looks right", "actor": "ada"}),
    "edit": Example(
        "Change what waits by a merge patch (RFC 7396), and approve the result",
        {"edits": {"prompt": "a blue bicycle in the rain"}, "comment": "blue", "actor": "ada"},
    ),
    "reject": Example("Refuse what waits", {"reason": "not our style", "reason_code": "off_brand", "actor": "ada"}),
    "pause": Example("Hold a run", {"reason": "wait for legal", "actor": "ada"}),
    "resume": Example("Let a run go on", {"actor": "ada"}),
    "cancel": Example("End a run", {"reason": "no longer needed", "actor": "ada"}),
    "retry": Example("Try again", {"reason": "the provider is back", "actor": "ada"}),
}
"""A body of each action."""
