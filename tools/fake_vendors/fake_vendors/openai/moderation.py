"""The fake OpenAI's moderation endpoint: it flags a category that a text names as `[moderation:violence]`, and nothing else."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

_MARK = re.compile(r"\[moderation:([a-z/-]+)\]")


async def moderations(request: Request) -> Response:
    """Classify one text or several, each with a result of its own."""
    if not request.headers.get("authorization", "").removeprefix("Bearer "):
        return _refusal(401, "You didn't provide an API key.", "invalid_api_key")
    try:
        body = await request.json()
    except ValueError:
        return _refusal(400, "We could not parse the JSON body of your request.", None)
    given = body.get("input") if isinstance(body, dict) else None
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not inputs or not all(isinstance(text, str) for text in inputs):
        return _refusal(400, "'input' is a text or a list of texts.", None)
    results = [_result(text) for text in inputs]
    return JSONResponse({"id": "modr-fake", "model": body.get("model", "omni-moderation-latest"), "results": results})


def _result(text: str) -> dict[str, Any]:
    named = set(_MARK.findall(text)) & set(CATEGORIES)
    return {
        "flagged": bool(named),
        "categories": {category: category in named for category in CATEGORIES},
        "category_scores": {category: 0.97 if category in named else 0.0001 for category in CATEGORIES},
        "category_applied_input_types": {category: ["text"] for category in CATEGORIES},
    }


def _refusal(status: int, message: str, code: str | None) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return JSONResponse({"error": error}, status_code=status)
