"""Judges a model's answer for every vendor, whatever form it has. Knows no vendor's names for ends and forms.

The rule of quality: the lower of what its end and what its form allow.

- End: 1 when the model ended by itself, 0.6 when it was cut off, 0.3 when a filter cut it, 0.1 when it refused.
- Form: JSON that is none has 0; JSON or the arguments of a tool that do not fit their schema have at most 0.2, and so have arguments
  that are no JSON object, and calls of a tool that was not offered. The worst call counts.

An answer with a part that no reader knows has no quality: it cannot be scored. Where there is nothing else, a person must look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from contracts.json_text import read_json
from contracts.providers.call import Failure
from contracts.providers.signals import Finding
from provider_worker.providers.answers.said import NO_VALUE, Said, ToolCall
from provider_worker.providers.base import ProviderError
from provider_worker.providers.payload_schema import CompiledSchema, SchemaTooCostly, UnusableSchema

ENDED, CUT, FILTERED, REFUSED = 1.0, 0.6, 0.3, 0.1
MISFIT, _NO_JSON = 0.2, 0.0

TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
IMAGES = {
    "type": "object",
    "properties": {"images": {"type": "array", "items": {"type": "string", "format": "uri"}, "minItems": 1}},
    "required": ["images"],
}
_TOOL_CALLS = {"type": "object", "properties": {"text": {"type": "string"}, "tool_calls": {"type": "array"}}}
_ANY_JSON = {"type": "object", "properties": {"json": True}}


class Asked(NamedTuple):
    """What a payload asks for: JSON, its schema (None: any), and the schemas of the tools by name (None: it names no tools)."""

    as_json: bool = False
    schema: Any = None
    tools: Mapping[str, Any] | None = None


class Content(NamedTuple):
    """A read answer: the response, the schema that it fits, its quality, None where it cannot be scored, and what a person must see."""

    response: dict[str, Any]
    schema: dict[str, Any]
    quality: float | None
    findings: tuple[Finding, ...] = ()


def content_of(said: Said, end: float, asked: Asked) -> Content:
    """Judge an answer that ended as `end` says. Raises ProviderError when there is nothing in it."""
    content = _content(said, end, asked)
    quality = None if said.items else content.quality
    return content._replace(response={**content.response, **said.beside}, quality=quality)


def _content(said: Said, end: float, asked: Asked) -> Content:
    if said.refusal or said.is_refused:
        return _refusal(said)
    if asked.as_json and said.value is not NO_VALUE:
        return _json(said.value, asked.schema, end)
    if said.calls:
        quality = min([end, *(_quality_of(call, asked.tools) for call in said.calls)])
        return Content({"text": said.text, "tool_calls": [call.shown for call in said.calls]}, _TOOL_CALLS, quality)
    if said.text.strip():
        return _json_in(said.text, asked.schema, end) if asked.as_json else Content({"text": said.text}, TEXT, end)
    if said.media:
        return Content({"text": said.text}, TEXT, end)
    if said.unscored:
        return _unscored(said, end)
    raise ProviderError(_nothing(end))


def _refusal(said: Said) -> Content:
    calls = {"tool_calls": [call.shown for call in said.calls]} if said.calls else {}
    return Content({"text": said.refusal or said.text, "refused": True, **calls}, TEXT, REFUSED)


def _quality_of(call: ToolCall, tools: Mapping[str, Any] | None) -> float:
    if call.is_free:
        return ENDED
    try:
        arguments = read_json(call.arguments) if isinstance(call.arguments, str) else call.arguments
        json.dumps(arguments, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        return MISFIT
    offered = tools is None or call.name in tools
    schema = tools[call.name] if tools and offered else True
    return ENDED if isinstance(arguments, dict) and offered and fits(arguments, schema) else MISFIT


def fits(value: Any, schema: Any) -> bool:
    """Return whether a value fits a schema. One that cannot be used asks for nothing; what cannot be checked does not fit."""
    try:
        return CompiledSchema(schema).is_valid(value)
    except SchemaTooCostly:
        return False
    except UnusableSchema:
        return True


def _json(value: Any, asked: Any, quality: float) -> Content:
    """Hold a JSON answer against the schema that was asked for, None where any would do."""
    inner = {"$id": "urn:sayso:asked", **asked} if isinstance(asked, dict) and "$id" not in asked else asked
    schema = {"type": "object", "properties": {"json": True if inner is None else inner}, "required": ["json"]}
    try:
        fits = asked is None or CompiledSchema(asked).is_valid(value)
    except SchemaTooCostly:  # what cannot be checked is not known to fit
        fits = False
    except UnusableSchema:
        fits, schema = True, _ANY_JSON
    return Content({"json": value}, schema, quality if fits else min(quality, MISFIT))


def _json_in(text: str, asked: Any, quality: float) -> Content:
    """Read the JSON in a text; a text without it is shown as it is."""
    try:
        return _json(read_json(_unfenced(text)), asked, quality)
    except ValueError:
        return Content({"json": None, "text": text}, _ANY_JSON, _NO_JSON)


def _unfenced(text: str) -> str:
    """Take JSON out of the Markdown fence that some models put around it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):
        return text[3:-3].removeprefix("json").strip()
    return text


def _unscored(said: Said, end: float) -> Content:
    holds = " and ".join({"reasoning": "reasoning", "items": "items of unknown kinds"}[name] for name in said.unscored)
    cut = " It may have been cut off: allow more tokens." if end == CUT else ""
    message = f"The answer cannot be scored: it holds nothing but {holds}.{cut}"
    finding = Finding(check="answer", code="unscorable_response", message=message, force=True)
    response = {"text": said.text, **said.unscored}
    return Content(response, TEXT, None, (finding,))


def _nothing(end: float) -> Failure:
    """Return the failure of an answer with nothing in it, by its end."""
    if end == FILTERED:
        return Failure(code="content_filtered", message="The server's content filter held back the whole answer.")
    if end == CUT:
        message = "The model ended before it said anything. It may have used up its tokens: allow more of them."
        return Failure(code="empty_response", message=message)
    return Failure(code="empty_response", message="The answer cannot be scored: there is nothing in it.")
