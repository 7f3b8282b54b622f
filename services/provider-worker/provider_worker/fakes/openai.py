"""A fake OpenAI on loopback: Chat Completions with structured output, Images and Models, as documented, without streaming.

`python -m provider_worker.fakes.openai --port 9100`, then `OPENAI_BASE_URL=http://127.0.0.1:9100/v1`. It wants a bearer token, any
but `wrong-key`. `GET /_calls` counts the calls that were begun, by path, `GET /_prompts` by prompt; `DELETE /_calls` starts again.

A fault is chosen by the model (`fault-429`), by the header `x-fake-fault: 429`, or by `[fault:429]` in the prompt:
429, quota, 400, 403, 404, 500, 503, 504, slow (answers after 1 s), hang (never answers), reset (breaks off), malformed (no JSON), empty,
length, refusal, content_filter, filtered_prompt, flagged, huge (21 MB). `[fault:429 x2]` has it for two calls with that prompt only.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from provider_worker.providers.sandbox.drawing import draw
from provider_worker.providers.sandbox.inventing import CannotInvent, invent
from provider_worker.providers.validation import UnusableSchema

MODELS = ("fake-1", "gpt-5.4-mini", "gpt-image-2.5-flare")
_MARKER = re.compile(r"\[fault:(\w+)(?: x(\d+))?\]")
_SIZE = re.compile(r"(\d{2,4})x(\d{2,4})")
_HUGE = 21 * 1024 * 1024

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


class FakeOpenAI:
    """The server's memory: which calls it got."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self._faulted: Counter[str] = Counter()

    def app(self) -> Starlette:
        """Return the server as an ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/images/generations", self.images, methods=["POST"]),
                Route("/v1/models", self.models),
                Route("/_calls", self.counted, methods=["GET", "DELETE"]),
                Route("/_prompts", self.prompts),
            ]
        )

    async def counted(self, request: Request) -> Response:
        """Say how many calls were begun, by path."""
        if request.method == "DELETE":
            self.calls.clear()
            self.bodies.clear()
            self._faulted.clear()
        return JSONResponse({**self.calls, "total": self.calls.total()})

    async def prompts(self, _: Request) -> Response:
        """Say how many calls were begun, by prompt."""
        return JSONResponse(Counter(map(_prompt, self.bodies)))

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
        self.calls[request.url.path] += 1
        self.bodies.append(body)
        fault = self._fault(request, body)
        if (unanswered := await _faulty(fault)) is not None:
            return unanswered
        try:
            return JSONResponse(make(body, fault), headers=_headers(self.calls.total()))
        except (UnusableSchema, CannotInvent) as error:
            return _error(400, f"Invalid schema for response_format: {error}", "invalid_request_error")

    def _fault(self, request: Request, body: Mapping[str, Any]) -> str | None:
        if named := request.headers.get("x-fake-fault"):
            return named
        if str(body["model"]).startswith("fault-"):
            return str(body["model"]).removeprefix("fault-")
        marked = _MARKER.search(_prompt(body))
        if marked is None:
            return None
        self._faulted[marked[0]] += 1
        return marked[1] if marked[2] is None or self._faulted[marked[0]] <= int(marked[2]) else None


def _unauthorized(request: Request) -> Response | None:
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if key and key != "wrong-key":
        return None
    return _error(401, f"Incorrect API key provided: {key}.", "invalid_request_error", "invalid_api_key")


async def _faulty(fault: str | None) -> Response | None:
    match fault:
        case "slow":
            await asyncio.sleep(1)
        case "hang":
            await asyncio.Event().wait()
        case "reset":
            return Response(b'{"choices":', headers={"content-length": "1000", "content-type": "application/json"})
        case "malformed":
            return Response("<html>Bad gateway</html>", media_type="text/html")
        case "huge":
            return StreamingResponse(_much(), media_type="application/json")
        case str() if fault in _STATUS:
            status, message, kind, code = _STATUS[fault]
            waits = {"retry-after": "7"} if fault == "429" else {}
            return _error(status, message, kind, code, {**_headers(1), **waits})
    return None


async def _much() -> Any:
    for _ in range(_HUGE // 65536):
        yield b" " * 65536


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
    parser = argparse.ArgumentParser(description="A fake OpenAI on loopback.")
    parser.add_argument("--port", type=int, default=9100)
    port = parser.parse_args().port
    uvicorn.run(FakeOpenAI().app(), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
