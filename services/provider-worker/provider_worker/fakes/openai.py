"""A fake OpenAI on loopback: Chat Completions with structured output, Images and Models, as documented, without streaming.

`python -m provider_worker.fakes.openai --port 9100`, then `OPENAI_BASE_URL=http://127.0.0.1:9100/v1`. It wants a bearer token, any
but `wrong-key`. `GET /_calls` counts the calls that were begun, by path, `GET /_prompts` by prompt; `DELETE /_calls` starts again.

How a fault is chosen says `fakes.faults`. There are 429, quota, 400, 403, 404, 500, 503, 504, slow (answers after 1 s), hang (never
answers), reset (breaks off), malformed (no JSON), huge (21 MB), empty, length, refusal, content_filter, filtered_prompt and flagged.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from provider_worker.fakes.faults import WRONG_KEY, FakeServer, serve, transport_fault
from provider_worker.providers.sandbox.drawing import draw
from provider_worker.providers.sandbox.inventing import CannotInvent, invent
from provider_worker.providers.validation import UnusableSchema

MODELS = ("fake-1", "gpt-5.4-mini", "gpt-image-2.5-flare")
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")

_STATUS: Mapping[str, tuple[int, str, str, str | None]] = {
    "429": (429, "Rate limit reached for requests", "requests", "rate_limit_exceeded"),
    "quota": (429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
    "400": (400, "Invalid value for 'temperature'.", "invalid_request_error", None),
    "403": (403, "Your project may not use this model.", "invalid_request_error", None),
    "404": (404, "The model does not exist.", "invalid_request_error", "model_not_found"),
    "500": (500, "The server had an error.", "server_error", None),
    "503": (503, "The engine is overloaded.", "server_error", None),
    "504": (504, "Gateway timeout", "server_error", None),
    "filtered_prompt": (400, "The prompt was flagged.", "invalid_request_error", "content_policy_violation"),
}


class FakeOpenAI(FakeServer):
    """The server's memory: which calls it got."""

    def app(self) -> Starlette:
        """Return the server as an ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/images/generations", self.images, methods=["POST"]),
                Route("/v1/models", self.models),
                *self.counters,
            ]
        )

    def prompt_of(self, body: Mapping[str, Any]) -> str:
        """Return the texts of all messages, or the prompt of an image."""
        return _prompt(body)

    async def models(self, request: Request) -> Response:
        """List models."""
        if refused := _unauthorized(request):
            return refused
        data = [{"id": model, "object": "model", "created": 0, "owned_by": "fake"} for model in MODELS]
        return JSONResponse({"object": "list", "data": data})

    async def chat(self, request: Request) -> Response:
        """Complete a chat."""
        return await self._answer(request, "messages", _completion)

    async def images(self, request: Request) -> Response:
        """Generate images."""
        return await self._answer(request, "prompt", _images)

    async def _answer(self, request: Request, needs: str, make: Any) -> Response:
        if refused := _unauthorized(request):
            return refused
        try:
            body = await request.json()
        except ValueError:
            return _error(400, "We could not parse the JSON body of your request.", "invalid_request_error")
        if not isinstance(body, dict) or "model" not in body or needs not in body:
            return _error(400, f"Missing required parameter: 'model' or '{needs}'.", "invalid_request_error")
        if body.get("stream"):
            return _error(400, "This fake does not stream.", "invalid_request_error")
        fault = self.begin(request, body)
        if (unanswered := await transport_fault(fault) or _refusal(fault)) is not None:
            return unanswered
        try:
            return JSONResponse(make(body, fault), headers=_headers(self.calls.total()))
        except (UnusableSchema, CannotInvent) as error:
            return _error(400, f"Invalid schema for response_format: {error}", "invalid_request_error")


def _unauthorized(request: Request) -> Response | None:
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if key and key != WRONG_KEY:
        return None
    return _error(401, f"Incorrect API key provided: {key}.", "invalid_request_error", "invalid_api_key")


def _refusal(fault: str | None) -> Response | None:
    if fault is None or fault not in _STATUS:
        return None
    status, message, kind, code = _STATUS[fault]
    waits = {"retry-after": "7"} if fault == "429" else {}
    return _error(status, message, kind, code, {**_headers(1), **waits})


def _completion(body: Mapping[str, Any], fault: str | None) -> dict[str, Any]:
    content: str | None = _content(body)
    finish, refusal = "stop", None
    match fault:
        case "empty":
            content = ""
        case "length":
            finish = "length"
        case "refusal":
            content, refusal = None, "I cannot help with that."
        case "content_filter":
            content, finish = "", "content_filter"
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "refusal": refusal},
        "logprobs": None,
        "finish_reason": finish,
    }
    if fault == "flagged":
        choice["content_filter_results"] = {"sexual": {"filtered": False, "severity": "high"}}
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": body["model"],
        "choices": [choice],
        "usage": _usage(_prompt(body), content or ""),
    }


def _content(body: Mapping[str, Any]) -> str:
    form = body.get("response_format") or {}
    match form.get("type"):
        case "json_schema":
            return json.dumps(invent(form["json_schema"].get("schema", True), _prompt(body)))
        case "json_object":
            return json.dumps({"answer": _prompt(body)[:200]})
        case _:
            return f"The fake heard {len(_prompt(body))} characters."


def _images(body: Mapping[str, Any], _: str | None) -> dict[str, Any]:
    size = _SIZE.fullmatch(str(body.get("size", "64x64")))
    width, height = (min(int(size[1]), 1024), min(int(size[2]), 1024)) if size else (64, 64)
    picture = base64.b64encode(draw(str(body["prompt"]), width, height)).decode()
    tokens = {"input_tokens": len(str(body["prompt"])) // 4, "output_tokens": 1056}
    return {
        "created": 1_767_225_600,
        "data": [{"b64_json": picture} for _ in range(int(body.get("n", 1)))],
        "usage": {**tokens, "total_tokens": sum(tokens.values())},
    }


def _usage(prompt: str, content: str) -> dict[str, Any]:
    given, made = max(1, len(prompt) // 4), len(content) // 4
    details = {"cached_tokens": 0}
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "total_tokens": given + made,
        "prompt_tokens_details": details,
    }


def _prompt(body: Mapping[str, Any]) -> str:
    if isinstance(body.get("prompt"), str):
        return str(body["prompt"])
    contents = [message.get("content") for message in body.get("messages", []) if isinstance(message, dict)]
    parts = [part for content in contents for part in (content if isinstance(content, list) else [{"text": content}])]
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _headers(calls: int) -> dict[str, str]:
    return {
        "x-request-id": f"req_fake_{calls}",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": str(max(0, 500 - calls)),
        "x-ratelimit-reset-requests": "120ms",
    }


def _error(
    status: int, message: str, kind: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def main() -> None:
    """Serve on loopback until a signal."""
    serve(FakeOpenAI().app(), "A fake OpenAI on loopback.", 9100)


if __name__ == "__main__":
    main()
