"""What tests say to the gateway over HTTP, and what they expect of its refusals."""

from __future__ import annotations

from typing import Any

import httpx

PAYLOAD = {"policy": "require_human", "allowed_steps": ["payload_review"]}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Expect a problem document and return it."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = dict(answer.json())
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code), document
    return document
