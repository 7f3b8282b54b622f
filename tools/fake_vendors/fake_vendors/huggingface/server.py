"""A fake HuggingFace on loopback: the router's Chat Completions and the pipelines of hosted models, as documented; chats stream.

`python -m fake_vendors.huggingface --port 9103`, then `HF_BASE_URL=http://127.0.0.1:9103`. It wants a bearer token, any
but `wrong-key`. `GET /_calls` counts the calls that were begun, by path, `GET /_prompts` by prompt; `DELETE /_calls` starts again.
The request chooses a model's pipeline: `candidate_labels` asks for a zero-shot classification, `Accept: image/png` for an image.

A fault is chosen as `fake_vendors.faults` says. There are 400, 401 (an expired token), 402, 403, 404, 422, 424, 429 (with Retry-After), limit (429 by
HuggingFace's own headers), 500, 502, 503, 504, loading (503, for 20 s), unsupported (no server has the model), redirect, slow (answers after
1 s), hang (never answers), reset (breaks off), malformed (no JSON), huge (50 MB), empty, length, content_filter, deaf (answers as a whole
though a stream was asked for), and those of streams, which `fake_vendors.streams` names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fake_vendors.chat_events import script_of
from fake_vendors.faults import FakeServer, refused_key, serve, texts_of
from fake_vendors.streams import event, streamed
from provider_worker.providers.payload_schema import UnusableSchema, at
from provider_worker.providers.sandbox.image import draw
from provider_worker.providers.sandbox.schema_inventor import CannotInvent, invent

Body = Mapping[str, Any]

_LARGEST_SIDE = 1024
_RATE_LIMIT = {"ratelimit": '"api";r=499;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'}

_REFUSALS: Mapping[str, tuple[int, Any]] = {
    "400": (400, {"error": ["Error in `parameters.top_k`: ensure this value is greater than 0"]}),
    "401": (401, {"error": "Invalid user token: it has expired."}),
    "402": (402, {"error": "You have exceeded your monthly included credits for Inference Providers."}),
    "403": (403, {"error": "This authentication method does not have sufficient permissions."}),
    "404": (404, {"error": "Model fault-404 does not exist"}),
    "422": (422, {"error": "Input validation error: `inputs` must be shorter", "error_type": "validation"}),
    "424": (424, {"error": "Request failed during generation", "error_type": "generation"}),
    "429": (429, {"error": "Model is overloaded", "error_type": "overloaded"}),
    "limit": (429, {"error": "We had to rate limit you."}),
    "500": (500, {"error": "Incomplete generation", "error_type": "incomplete_generation"}),
    "502": (502, "Bad Gateway"),
    "503": (503, {"error": "Service unavailable"}),
    "504": (504, "Gateway Timeout"),
    "loading": (503, {"error": "Model fault-loading is currently loading", "estimated_time": 20.0}),
    "unsupported": (
        400,
        {
            "error": {
                "message": "The requested model 'fault-unsupported' is not supported by any provider you have enabled.",
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_supported",
            }
        },
    ),
}
_OVERLOADED = {"error": "Model is overloaded", "error_type": "overloaded"}
_HEADERS: Mapping[str, Mapping[str, str]] = {
    "429": {"retry-after": "7"},
    "limit": {**_RATE_LIMIT, "ratelimit": '"api";r=0;t=55'},
}


class FakeHuggingFace(FakeServer):
    """The server's memory: which calls it got."""

    def app(self) -> Starlette:
        """Return the server as an ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/models/{model:path}", self.pipeline, methods=["POST"]),
                *self.counters,
            ]
        )

    def prompt_of(self, body: Mapping[str, Any]) -> str:
        """Return the texts of all messages, or the inputs of a pipeline."""
        return _prompt(body)

    async def chat(self, request: Request) -> Response:
        """Complete a chat."""
        return await self._answer(request, "messages", self._completed)

    async def pipeline(self, request: Request) -> Response:
        """Run a model's pipeline."""
        draws = request.headers.get("accept", "").startswith("image/")
        return await self._answer(request, "inputs", _image if draws else _labels)

    async def _answer(self, request: Request, needs: str, make: Callable[[Body, str | None], Response]) -> Response:
        if refused := _unauthorized(request):
            return refused
        try:
            body = await request.json()
        except ValueError:
            return _invalid("Failed to parse the request body as JSON")
        if not isinstance(body, dict) or needs not in body:
            return _invalid(f"Failed to deserialize the JSON body into the target type: missing field `{needs}`")
        fault = self._fault(request, body)
        if (unanswered := await self.unanswered(fault) or _refusal(fault)) is not None:
            return unanswered
        try:
            answer = make(body, fault)
        except (UnusableSchema, CannotInvent) as error:
            return _invalid(f"Grammar error: {error}")
        answer.headers.update({"x-request-id": f"hf_fake_{self.calls.total()}", **_RATE_LIMIT})
        return answer

    def _completed(self, body: Body, fault: str | None) -> Response:
        completion = _completion(body, fault)
        if not body.get("stream") or fault == "deaf":
            return JSONResponse(completion)
        return streamed(replace(script_of(completion, body), error=event(_OVERLOADED)), fault, self.pace, self.gone)

    def _fault(self, request: Request, body: dict[str, Any]) -> str | None:
        asked = self.begin(request, body)
        model = str(request.path_params.get("model"))
        return model.removeprefix("fault-") if model.startswith("fault-") else asked


def _unauthorized(request: Request) -> Response | None:
    token = refused_key(request)
    if token is None:
        return None
    return JSONResponse({"error": f"Invalid credentials in Authorization header: {token}"}, status_code=401)


def _invalid(message: str) -> Response:
    return JSONResponse({"error": message, "error_type": "validation"}, status_code=422)


def _refusal(fault: str | None) -> Response | None:
    if fault == "redirect":
        return Response(status_code=307, headers={"location": "/v1/chat/completions"})
    if fault is None or fault not in _REFUSALS:
        return None
    status, body = _REFUSALS[fault]
    return JSONResponse(body, status_code=status, headers=dict(_HEADERS.get(fault, {})))


def _completion(body: Body, fault: str | None) -> dict[str, Any]:
    content, finish = _content(body), "stop"
    match fault:
        case "empty":
            content = ""
        case "length":
            finish = "length"
        case "content_filter":
            content, finish = "", "content_filter"
    given, made = max(1, len(_prompt(body)) // 4), len(content) // 4
    message = {"role": "assistant", "content": content}
    return {
        "object": "chat.completion",
        "id": "",
        "created": 1_767_225_600,
        "model": body.get("model", "tgi"),
        "system_fingerprint": "fake",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made},
    }


def _content(body: Body) -> str:
    match body.get("response_format"):
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return json.dumps(invent(schema, _prompt(body)))
        case {"type": "json_object" | "json", "value": schema}:
            return json.dumps(invent(schema, _prompt(body)))
        case {"type": "json_object"}:
            return json.dumps({"answer": _prompt(body)[:200]})
        case _:
            return f"The fake heard {len(_prompt(body))} characters."


def _labels(body: Body, fault: str | None) -> Response:
    candidates = at(body, ["parameters", "candidate_labels"])
    names = [str(name) for name in candidates] if isinstance(candidates, list) else ["POSITIVE", "NEGATIVE"]
    # The first label wins by halves: 0.5, 0.25, ..., the last two alike, so that the scores add up to 1.
    scores = [0.5 ** min(place + 1, len(names) - 1) for place in range(len(names))]
    found = [{"label": name, "score": score} for name, score in zip(names, scores, strict=True)]
    found = [] if fault == "empty" else found
    return JSONResponse(found if isinstance(candidates, list) else [found])


def _image(body: Body, fault: str | None) -> Response:
    wanted = [at(body, ["parameters", side]) for side in ("width", "height")]
    width, height = (min(side, _LARGEST_SIDE) if isinstance(side, int) else 64 for side in wanted)
    picture = b"" if fault == "empty" else draw(str(body["inputs"]), width, height)
    return Response(picture, media_type="image/png")


def _prompt(body: Body) -> str:
    return str(body["inputs"]) if isinstance(body.get("inputs"), str) else texts_of(body.get("messages"))


def main() -> None:
    """Serve on loopback until a signal."""
    serve(FakeHuggingFace, "A fake HuggingFace on loopback.", 9103)
