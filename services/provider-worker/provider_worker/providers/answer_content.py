"""Reads a model's answer for every vendor: text, JSON by a schema, refusals, each with a quality by rule.

The rule of quality, for text: 1 when the model ended by itself, 0.6 when it was cut off, 0.3 when a filter cut it, 0.1 when it
refused. For JSON: 0 when it is none, 0.2 when it does not fit its schema. Knows no vendor's names for these ends.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from contracts.providers.call import Failure
from provider_worker.providers.payload_schema import CompiledSchema, SchemaTooCostly, UnusableSchema

ENDED, CUT, FILTERED, REFUSED = 1.0, 0.6, 0.3, 0.1
_MISFIT = 0.2

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
IMAGES = {
    "type": "object",
    "properties": {"images": {"type": "array", "items": {"type": "string", "format": "uri"}, "minItems": 1}},
    "required": ["images"],
}
_TOOL_CALLS = {"type": "object", "properties": {"text": {"type": "string"}, "tool_calls": {"type": "array"}}}
_ANY_JSON = {"type": "object", "properties": {"json": True}}


class Content(NamedTuple):
    """A read answer: the response, the schema that it fits, and its quality."""

    response: dict[str, Any]
    schema: dict[str, Any]
    quality: float


def text_content(text: str, quality: float) -> Content:
    """Return a text answer."""
    return Content({"text": text}, TEXT, quality)


def refusal_content(text: str) -> Content:
    """Return a refusal with the model's words."""
    return Content({"text": text, "refused": True}, TEXT, REFUSED)


def tool_content(text: str, calls: list[Any], quality: float) -> Content:
    """Return the tools that the model would have called."""
    return Content({"text": text, "tool_calls": calls}, _TOOL_CALLS, quality)


def json_content(value: Any, asked: Any, quality: float) -> Content:
    """Hold a JSON answer against the schema that was asked for, None where any would do."""
    inner = {"$id": "urn:sayso:asked", **asked} if isinstance(asked, dict) and "$id" not in asked else asked
    schema = {"type": "object", "properties": {"json": True if inner is None else inner}, "required": ["json"]}
    try:
        fits = asked is None or CompiledSchema(asked).is_valid(value)
    except SchemaTooCostly:  # what cannot be checked is not known to fit
        fits = False
    except UnusableSchema:
        fits, schema = True, _ANY_JSON
    return Content({"json": value}, schema, quality if fits else _MISFIT)


def json_in(text: str, asked: Any, quality: float) -> Content:
    """Read the JSON in a text; a text without it is shown as it is, with the quality 0."""
    try:
        return json_content(json.loads(_unfenced(text)), asked, quality)
    except (ValueError, RecursionError):
        return Content({"json": None, "text": text}, _ANY_JSON, 0.0)


def out_of_tokens() -> Failure:
    """Return the failure of an answer that was cut off before its first word."""
    message = "The model used up its tokens before it said anything; allow more of them."
    return Failure(code="empty_response", message=message)


def _unfenced(text: str) -> str:
    """Take JSON out of the Markdown fence that some models put around it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        return text[3:-3].removeprefix("json").strip()
    return text
