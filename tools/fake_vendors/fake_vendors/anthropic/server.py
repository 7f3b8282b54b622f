"""A fake Anthropic on loopback: Messages with tool use, as documented, streamed and not.

`python -m fake_vendors.anthropic --port 9101`, then `ANTHROPIC_BASE_URL=http://127.0.0.1:9101`. It wants a key, any but
`wrong-key`, as a bearer token or in `x-api-key`, and refuses what the interface of 2026-10-21 refuses. `GET /_calls` counts the calls
that were begun, by path, `GET /_prompts` by prompt; `DELETE /_calls` starts again.

`fake_vendors.faults` says how a fault is chosen. There are 400, 401 (an expired token), 402, 403, 404, 409, 413, 429 (with Retry-After), 429_bare,
spent, 500, 502, 503, 504, 529, slow (answers after 1 s), hang (never answers), reset (breaks off), malformed (no JSON), huge (50 MB), empty,
max_tokens, thinking_only, refusal, no_tool (text where a tool was to be used), deaf (answers as a whole though a stream was asked for), and
those of streams, which `fake_vendors.streams` names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fake_vendors.anthropic.events import script_of
from fake_vendors.faults import FakeServer, refused_key, serve, texts_of
from fake_vendors.streams import streamed
from provider_worker.providers.payload_schema import UnusableSchema, at
from provider_worker.providers.sandbox.schema_inventor import CannotInvent, invent

_NEWEST = "2026-10-21"
_NEVER_FORCED = re.compile(r"^claude-((opus|sonnet)-5-5|(fable|mythos)-5-\d)")
_NEEDED = ("model", "max_tokens", "messages")

_STATUS: Mapping[str, tuple[int, str, str]] = {
    "400": (400, "invalid_request_error", "messages.0.content: Field required"),
    "401": (401, "authentication_error", "OAuth token has expired."),
    "402": (402, "billing_error", "There is an issue with your billing."),
    "403": (403, "permission_error", "Your key does not have permission to use this resource."),
    "404": (404, "not_found_error", "model: no such model"),
    "409": (409, "conflict_error", "The resource was modified concurrently."),
    "413": (413, "request_too_large", "Request exceeds the maximum size"),
    "429": (429, "rate_limit_error", "This request would exceed your organization's rate limit."),
    "429_bare": (429, "rate_limit_error", "Number of requests has exceeded your acceleration limit."),
    "spent": (400, "invalid_request_error", "You have reached your spend limit."),
    "500": (500, "api_error", "Internal server error"),
    "502": (502, "api_error", "Bad gateway"),
    "503": (503, "api_error", "Service unavailable"),
    "504": (504, "timeout_error", "Request timed out"),
    "529": (529, "overloaded_error", "Overloaded"),
}
_STOPS = {"max_tokens": "max_tokens", "thinking_only": "max_tokens", "refusal": "refusal"}


class FakeAnthropic(FakeServer):
    """The server's memory: which calls it got."""

    def app(self) -> Starlette:
        """Return the server as an ASGI application."""
        return Starlette(routes=[Route("/v1/messages", self.messages, methods=["POST"]), *self.counters])

    def prompt_of(self, body: Mapping[str, Any]) -> str:
        """Return the texts of all messages."""
        return texts_of(body.get("messages"))

    async def messages(self, request: Request) -> Response:
        """Answer a message."""
        if (key := refused_key(request)) is not None:
            return _error(401, "authentication_error", f"invalid key: {key}")
        try:
            body = await request.json()
        except ValueError:
            return _error(400, "invalid_request_error", "The request body is not valid JSON.")
        if wrong := _wrong_with(body, request.headers.get("anthropic-version")):
            return _error(400, "invalid_request_error", wrong)
        fault = self.begin(request, body)
        if (unanswered := await self.unanswered(fault) or self._refusal(fault)) is not None:
            return unanswered
        try:
            answer = _message(body, self.prompt_of(body), fault)
        except (UnusableSchema, CannotInvent) as error:
            return _error(400, "invalid_request_error", f"tools.0.input_schema: {error}")
        headers = _headers(self.calls.total())
        if not body.get("stream") or fault == "deaf":
            return JSONResponse(answer, headers=headers)
        return streamed(script_of(answer), fault, self.pace, self.gone, headers)

    def _refusal(self, fault: str | None) -> Response | None:
        if fault is None or fault not in _STATUS:
            return None
        status, kind, message = _STATUS[fault]
        headers = {**_headers(self.calls.total()), **({"retry-after": "7"} if fault == "429" else {})}
        return _error(status, kind, message, "enforced_spend_limit_reached" if fault == "spent" else None, headers)


def _wrong_with(body: Any, version: str | None) -> str | None:
    """Return the reason to refuse a body by the documented interface, or None."""
    if version is None:
        return "anthropic-version: header is required"
    if not isinstance(body, dict):
        return "Input should be an object"
    if missing := next((name for name in _NEEDED if name not in body), None):
        return f"{missing}: Field required"
    if not isinstance(body["messages"], list) or not body["messages"]:
        return "messages: at least one message is required"
    if at(body, ["messages", 0, "role"]) != "user":
        return "messages: first message must use the user role"
    if version >= _NEWEST:
        for name in ("temperature", "top_p", "top_k"):
            if name in body:
                return f"{name}: Extra inputs are not permitted"
    if at(body, ["tool_choice", "type"]) in ("any", "tool"):
        if _NEVER_FORCED.match(str(body["model"])):
            return 'tool_choice: type "tool" and "any" are not supported for this model.'
        if at(body, ["thinking", "type"]) in ("adaptive", "enabled"):
            return "Thinking may not be enabled when tool_choice forces tool use."
    return None


def _message(body: Mapping[str, Any], prompt: str, fault: str | None) -> dict[str, Any]:
    content, stop = _content(body, prompt, fault)
    details = {"type": "refusal", "category": "cyber", "explanation": "It could enable harm."}
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": _STOPS.get(fault or "", stop),
        "stop_sequence": None,
        "stop_details": details if fault == "refusal" else None,
        "usage": _usage(prompt, content),
    }


def _content(body: Mapping[str, Any], prompt: str, fault: str | None) -> tuple[list[dict[str, Any]], str]:
    said = [{"type": "text", "text": f"The fake heard {len(prompt)} characters."}]
    tool = _wanted_tool(body)
    match fault:
        case "empty" | "refusal":
            return [], "end_turn"
        case "thinking_only":
            return [{"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmVk"}], "end_turn"
        case _ if tool is None or fault == "no_tool":
            return said, "end_turn"
    value = invent(tool.get("input_schema", True), prompt)
    return [{"type": "tool_use", "id": "toolu_fake", "name": tool.get("name"), "input": value}], "tool_use"


def _wanted_tool(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    tools = body.get("tools")
    if not isinstance(tools, list) or at(body, ["tool_choice", "type"]) == "none":
        return None
    named = at(body, ["tool_choice", "name"])
    return next((tool for tool in tools if named is None or tool.get("name") == named), None)


def _usage(prompt: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "input_tokens": max(1, len(prompt) // 4),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": max(1, sum(len(json.dumps(block.get("input", block.get("text")))) for block in content) // 4),
        "service_tier": "standard",
    }


def _headers(calls: int) -> dict[str, str]:
    return {
        "request-id": f"req_fake_{calls}",
        "anthropic-ratelimit-requests-limit": "1000",
        "anthropic-ratelimit-requests-remaining": str(max(0, 1000 - calls)),
        "anthropic-ratelimit-requests-reset": "2026-11-01T00:00:00Z",
        "anthropic-ratelimit-input-tokens-limit": "80000",
        "anthropic-ratelimit-input-tokens-remaining": "80000",
    }


def _error(
    status: int, kind: str, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    error = {"type": kind, "message": message, **({"details": {"error_code": code}} if code else {})}
    given = {"request-id": "req_fake_0", **(headers or {})}
    return JSONResponse({"type": "error", "error": error, "request_id": given["request-id"]}, status, headers=given)


def main() -> None:
    """Serve on loopback until a signal."""
    serve(FakeAnthropic, "A fake Anthropic on loopback.", 9101)
