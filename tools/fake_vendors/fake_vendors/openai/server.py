"""A fake OpenAI on loopback: Responses and Chat Completions, streamed and not, with structured output, Images and Models, as documented.

`python -m fake_vendors.openai --port 9100`, then `OPENAI_BASE_URL=http://127.0.0.1:9100/v1`. It wants a bearer token, any
but `wrong-key`. `GET /_calls` counts the calls that were begun, by path, and the responses that were `cancelled`, `GET /_prompts`
by prompt; `DELETE /_calls` starts again.

`fake_vendors.faults` says how a fault is chosen. There are 429, quota, 400, 403, 404, 500, 502, 503, 504, slow (answers after 1 s), hang (never
answers), reset (breaks off), malformed (no JSON), huge (50 MB), empty, length, refusal, content_filter, filtered_prompt, flagged, deaf
(answers as a whole though a stream was asked for), in chats thoughts_only and cut_call (a tool call that is cut off), those of streams, which
`fake_vendors.streams` names, and for responses failed, and in the background pending, lost, look_500 and look_cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fake_vendors import chat_events
from fake_vendors.faults import FakeServer, refused_key, serve, texts_of, transport_fault
from fake_vendors.openai import responses
from fake_vendors.openai.background import Stored
from fake_vendors.openai.chat import completion
from fake_vendors.openai.images import images_of
from fake_vendors.openai.moderation import moderations
from fake_vendors.streams import Script, streamed
from provider_worker.providers.payload_schema import UnusableSchema
from provider_worker.providers.sandbox.schema_inventor import CannotInvent

MODELS = ("fake-1", "gpt-5.4-mini", "gpt-image-2.5-flare")

_STATUS: Mapping[str, tuple[int, str, str, str | None]] = {
    "429": (429, "Rate limit reached for requests", "requests", "rate_limit_exceeded"),
    "quota": (429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
    "400": (400, "Invalid value for 'temperature'.", "invalid_request_error", None),
    "403": (403, "Your project may not use this model.", "invalid_request_error", None),
    "404": (404, "The model does not exist.", "invalid_request_error", "model_not_found"),
    "500": (500, "The server had an error.", "server_error", None),
    "502": (502, "Bad gateway", "server_error", None),
    "503": (503, "The engine is overloaded.", "server_error", None),
    "504": (504, "Gateway timeout", "server_error", None),
    "filtered_prompt": (400, "The prompt was flagged.", "invalid_request_error", "content_policy_violation"),
}


class FakeOpenAI(FakeServer):
    """The server's memory: which calls it got, and the responses that can be asked about."""

    def __init__(self, pace: float = 0.0) -> None:
        super().__init__(pace)
        self._stored = Stored()

    def app(self) -> Starlette:
        """Return the server as an ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/responses", self.respond, methods=["POST"]),
                Route("/v1/responses/{name}", self.response),
                Route("/v1/responses/{name}/cancel", self.cancel, methods=["POST"]),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/images/generations", self.images, methods=["POST"]),
                Route("/v1/models", self.models),
                Route("/v1/moderations", moderations, methods=["POST"]),
                *self.counters,
            ]
        )

    def prompt_of(self, body: Mapping[str, Any]) -> str:
        """Return the texts of all messages, or the prompt of an image."""
        if "input" in body:
            return responses.prompt_of(body)
        return str(body["prompt"]) if isinstance(body.get("prompt"), str) else texts_of(body.get("messages"))

    async def models(self, request: Request) -> Response:
        """List models."""
        if refused := _unauthorized(request):
            return refused
        data = [{"id": model, "object": "model", "created": 0, "owned_by": "fake"} for model in MODELS]
        return JSONResponse({"object": "list", "data": data})

    async def chat(self, request: Request) -> Response:
        """Complete a chat."""

        def tell(body: Mapping[str, Any], fault: str | None) -> tuple[Any, Script]:
            whole = completion(body, fault)
            return whole, chat_events.script_of(whole, body)

        return await self._answer(request, "messages", tell)

    async def respond(self, request: Request) -> Response:
        """Make a response, or begin to."""

        def tell(body: Mapping[str, Any], fault: str | None) -> tuple[Any, Script]:
            whole = responses.response(body, fault)
            shown = whole if body.get("store") is False else self._stored.keep(whole, fault)
            return shown, responses.script_of(whole)

        return await self._answer(request, "input", tell)

    async def images(self, request: Request) -> Response:
        """Generate images."""
        return await self._answer(request, "prompt", lambda body, _: (images_of(body), None))

    async def response(self, request: Request) -> Response:
        """Show a response that was begun before."""
        if refused := _unauthorized(request):
            return refused
        found, fault = self._stored.look(request.path_params["name"])
        unanswered = _refusal("500") if fault == "look_500" else await transport_fault(fault and "reset")
        if unanswered is not None:
            return unanswered
        return _unknown(request) if found is None else JSONResponse(found, headers=_headers(1))

    async def cancel(self, request: Request) -> Response:
        """End a response that is made in the background."""
        if refused := _unauthorized(request):
            return refused
        found = self._stored.cancel(request.path_params["name"])
        if found is None:
            return _unknown(request)
        self.others["cancelled"] += 1
        return JSONResponse(found, headers=_headers(1))

    async def _answer(
        self, request: Request, needs: str, tell: Callable[[Mapping[str, Any], str | None], tuple[Any, Script | None]]
    ) -> Response:
        if refused := _unauthorized(request):
            return refused
        try:
            body = await request.json()
        except ValueError:
            return _error(400, "We could not parse the JSON body of your request.", "invalid_request_error")
        if not isinstance(body, dict) or "model" not in body or needs not in body:
            return _error(400, f"Missing required parameter: 'model' or '{needs}'.", "invalid_request_error")
        if needs == "input" and (wrong := responses.wrong_with(body)) is not None:
            return _error(400, wrong, "invalid_request_error", "unsupported_parameter")
        fault = self.begin(request, body)
        if (unanswered := await self.unanswered(fault) or _refusal(fault)) is not None:
            return unanswered
        try:
            whole, script = tell(body, fault)
        except (UnusableSchema, CannotInvent) as error:
            return _error(400, f"Invalid schema for response_format: {error}", "invalid_request_error")
        headers = _headers(self.calls.total())
        if body.get("stream") and fault != "deaf" and script is not None:
            return streamed(script, fault, self.pace, self.gone, headers)
        return JSONResponse(whole, headers=headers)


def _unauthorized(request: Request) -> Response | None:
    key = refused_key(request)
    if key is None:
        return None
    return _error(401, f"Incorrect API key provided: {key}.", "invalid_request_error", "invalid_api_key")


def _refusal(fault: str | None) -> Response | None:
    if fault is None or fault not in _STATUS:
        return None
    status, message, kind, code = _STATUS[fault]
    waits = {"retry-after": "7"} if fault == "429" else {}
    return _error(status, message, kind, code, {**_headers(1), **waits})


def _unknown(request: Request) -> Response:
    name = request.path_params["name"]
    return _error(404, f"Response with id '{name}' not found.", "invalid_request_error")


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
    serve(FakeOpenAI, "A fake OpenAI on loopback.", 9100)
