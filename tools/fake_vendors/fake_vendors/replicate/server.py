"""A fake Replicate on loopback: models, versions, predictions, files and their delivery, as documented, without streams and webhooks.

`python -m fake_vendors.replicate --port 9102`, then `REPLICATE_BASE_URL=http://127.0.0.1:9102`. It wants a bearer token, any but
`wrong-key`. It hosts acme/painter, acme/writer (official), acme/listener and acme/mixer. A prediction moves on when it is looked at:
starting, processing, ended; acme/writer's output grows meanwhile. `GET /_calls` counts the predictions that were begun, by path, and those that
were `canceled`, `GET /_prompts` counts them by prompt; `DELETE /_calls` forgets.

`fake_vendors.faults` says how. Instead of a prediction: 401 (an expired token), 402, 403, 404, 422, 429 (with Retry-After), 429_body
(which says in its body when to come back), 500, 502, 503, 504. A prediction, but: slow (told after 1 s), hang (never told), reset, malformed, huge
(50 MB). A prediction that ends badly: fails, nsfw, canceled, aborted, empty, removed, or never: stuck. Two looks that fail: look_403, look_429,
look_500, look_reset, look_malformed; all of them: blind. Two cancellations that fail: uncanceled. An output
that `delivery` lists, or one of 26 MiB in the prediction itself: inline_output.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fake_vendors.faults import FakeServer, refused_key, serve, transport_fault
from fake_vendors.replicate.delivery import delivered_badly, fault_of
from fake_vendors.replicate.models import MODELS, version_of
from fake_vendors.replicate.predictions import AT, Prediction
from provider_worker.providers.payload_schema import CompiledSchema
from provider_worker.providers.replicate.models.schemas import input_schema
from provider_worker.providers.sandbox.image import draw

_MODEL_OF = {version_of(name): name for name in MODELS}
_FAILED_LOOKS = 2

_STATUS: Mapping[str, tuple[int, str, str]] = {
    "401": (401, "Unauthenticated", "Your authentication token has expired."),
    "402": (402, "Insufficient credit", "You have insufficient credit to run this model."),
    "403": (403, "Forbidden", "You do not have permission to perform this action."),
    "404": (404, "Not found", "The requested resource could not be found."),
    "422": (422, "Input validation failed", "- input.seed: Invalid type. Expected: integer, given: string\n"),
    "429": (429, "Too many requests", "Request was throttled."),
    "429_body": (429, "Too many requests", "Request was throttled. Your rate limit resets in ~5s."),
    "500": (500, "Internal server error", "Something went wrong."),
    "502": (502, "Bad gateway", "The gateway got no answer."),
    "503": (503, "Service unavailable", "Try again later."),
    "504": (504, "Gateway timeout", "The gateway gave up waiting."),
}


@dataclass
class _File:
    body: bytes = field(repr=False)
    media_type: str
    name: str


class FakeReplicate(FakeServer):
    """The server's memory: which predictions were begun, how often each was looked at, which files it got."""

    def __init__(self, pace: float = 0.0) -> None:
        super().__init__(pace)
        self.looks: Counter[str] = Counter()
        self.deliveries: Counter[str] = Counter()
        self.files: dict[str, _File] = {}
        self._predictions: dict[str, Prediction] = {}

    def app(self) -> Starlette:
        """Return the server as an ASGI application."""
        one = "/v1/predictions/{id}"
        return Starlette(
            routes=[
                Route("/v1/models/{owner}/{name}", self.model),
                Route("/v1/models/{owner}/{name}/versions/{version}", self.version),
                Route("/v1/models/{owner}/{name}/predictions", self.create, methods=["POST"]),
                Route("/v1/predictions", self.create, methods=["POST"]),
                Route(one, self.look),
                Route(f"{one}/cancel", self.cancel, methods=["POST"]),
                Route("/v1/files", self.upload, methods=["POST"]),
                Route("/delivery/{id}/{name}", self.deliver),
                *self.counters,
            ]
        )

    def prompt_of(self, body: Mapping[str, Any]) -> str:
        """Return the texts of an input."""
        given = body.get("input")
        return "\n".join(text for text in given.values() if isinstance(text, str)) if isinstance(given, dict) else ""

    async def model(self, request: Request) -> Response:
        """Return a model and its latest version."""
        name = _name(request)
        if refused := _refused(request, name):
            return refused
        openapi, official = MODELS[name]
        owner, _, short = name.partition("/")
        return JSONResponse(
            {
                "url": f"https://replicate.com/{name}",
                "owner": owner,
                "name": short,
                "description": "A fake.",
                "visibility": "public",
                "is_official": official,
                "run_count": 0,
                "default_example": None,
                "latest_version": _version(name, openapi),
            }
        )

    async def version(self, request: Request) -> Response:
        """Return a version."""
        name = _name(request)
        if refused := _refused(request, name):
            return refused
        if request.path_params["version"] != version_of(name):
            return _problem(*_STATUS["404"])
        return JSONResponse(_version(name, MODELS[name][0]))

    async def create(self, request: Request) -> Response:
        """Begin a prediction."""
        if refused := _refused(request):
            return refused
        try:
            body = await request.json()
        except ValueError:
            return _problem(400, "Bad request", "The body is not JSON.")
        name = _asked(request, body)
        if name is None:
            return _problem(422, "Invalid version or not permitted", "The specified version does not exist.")
        if wrong := _wrong_with(name, body.get("input")):
            fields = [{"type": "invalid", "field": "input", "description": line} for line in wrong]
            return _problem(422, "Input validation failed", "\n".join(wrong), invalid_fields=fields)
        fault = self.begin(request, body)
        if fault is not None and fault in _STATUS:
            return _unwilling(fault)
        prediction = self._begun(name, body["input"], fault, str(request.base_url))
        unanswered = await self.unanswered(fault)
        headers = {"ratelimit-remaining": str(max(0, 600 - self.calls.total())), "ratelimit-reset": "1"}
        return unanswered or JSONResponse(prediction.document(), status_code=201, headers=headers)

    def _begun(self, name: str, given: dict[str, Any], fault: str | None, base: str) -> Prediction:
        key = f"{len(self._predictions)}{name}{json.dumps(given, sort_keys=True)}"
        prediction = Prediction(hashlib.sha256(key.encode()).hexdigest()[:26], name, given, fault, base, self.pace)
        self._predictions[prediction.id] = prediction
        return prediction

    async def look(self, request: Request) -> Response:
        """Return a prediction, which moves it on."""
        if refused := _refused(request):
            return refused
        if self.told:
            return self.told.pop(0).response()
        prediction = self._predictions.get(request.path_params["id"])
        if prediction is None:
            return _problem(*_STATUS["404"])
        self.looks[prediction.id] += 1
        prediction.looks += 1
        fault = prediction.fault or ""
        if fault == "blind":
            return _problem(*_STATUS["503"])
        if fault.startswith("look_") and prediction.looks <= _FAILED_LOOKS:
            named = fault.removeprefix("look_")
            return await transport_fault(named) or _problem(*_STATUS[named], headers={"retry-after": "0"})
        prediction.move_on()
        return JSONResponse(prediction.document())

    async def cancel(self, request: Request) -> Response:
        """Cancel a prediction that has not ended."""
        if refused := _refused(request):
            return refused
        prediction = self._predictions.get(request.path_params["id"])
        if prediction is None:
            return _problem(*_STATUS["404"])
        if prediction.fault == "uncanceled" and prediction.deafness:
            prediction.deafness -= 1
            return _problem(*_STATUS["503"])
        if prediction.cancel():
            self.others["canceled"] += 1
        return JSONResponse(prediction.document())

    async def upload(self, request: Request) -> Response:
        """Take a file."""
        if refused := _refused(request):
            return refused
        async with request.form() as form:
            content = form.get("content")
            if not isinstance(content, UploadFile):
                return _problem(400, "Bad request", "Missing content")
            body = await content.read()
            file = _File(body, content.content_type or "application/octet-stream", content.filename or "file")
        sha256 = hashlib.sha256(body).hexdigest()
        self.files[sha256] = file
        return JSONResponse(
            {
                "id": sha256,
                "name": file.name,
                "content_type": file.media_type,
                "size": len(body),
                "etag": sha256,
                "checksums": {"sha256": sha256},
                "metadata": {},
                "created_at": AT,
                "expires_at": AT,
                "urls": {"get": f"{request.base_url}v1/files/{sha256}"},
            },
            status_code=201,
        )

    async def deliver(self, request: Request) -> Response:
        """Deliver an output without a key; a request with a token is refused, since the token belongs to another host."""
        prediction = self._predictions.get(request.path_params["id"])
        if prediction is None:
            return Response("gone", status_code=404)
        if "authorization" in request.headers:
            return Response("You leak your token.", status_code=400)
        self.deliveries[prediction.id] += 1
        fault = fault_of(prediction.fault, request.path_params["name"], self.deliveries[prediction.id])
        drawn = Response(draw(str(prediction.input.get("prompt")), 64, 64), media_type="image/png")
        return await delivered_badly(fault, str(request.url)) or drawn


def _name(request: Request) -> str:
    return "{owner}/{name}".format(**request.path_params)


def _asked(request: Request, body: Any) -> str | None:
    """Return the model that a prediction is asked of."""
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
        return None
    if "owner" in request.path_params:
        name = _name(request)
        return name if name in MODELS and MODELS[name][1] else None
    model, _, version = str(body.get("version")).rpartition(":")
    found = _MODEL_OF.get(version)
    return found if model in ("", found) else None


def _wrong_with(name: str, given: dict[str, Any]) -> list[str]:
    """Name every misfit with a model's schema, and every file that could not be fetched."""
    schema = input_schema(MODELS[name][0]) or {}
    wrong = [error.message for error in CompiledSchema(schema).misfits(given)]
    files = [value for key, value in given.items() if schema["properties"].get(key, {}).get("format") == "uri"]
    return wrong + ["Does not match format 'uri'" for file in files if not str(file).startswith(("http", "data:"))]


def _version(name: str, openapi: dict[str, Any]) -> dict[str, Any]:
    return {"id": version_of(name), "created_at": AT, "cog_version": "0.16.8", "openapi_schema": openapi}


def _refused(request: Request, model: str | None = None) -> Response | None:
    if (token := refused_key(request)) is not None:
        return _problem(401, "Unauthenticated", f"You did not pass a valid authentication token: {token}")
    return None if model is None or model in MODELS else _problem(*_STATUS["404"])


def _unwilling(fault: str) -> Response:
    headers = {"retry-after": "7"} if fault == "429" else {}
    if fault == "429_body":
        return _problem(*_STATUS[fault], headers=headers, retry_after=5)
    return _problem(*_STATUS[fault], headers=headers)


def _problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Response:
    body = {"title": title, "detail": detail, "status": status, **members}
    return JSONResponse(body, status_code=status, headers=dict(headers or {}), media_type="application/problem+json")


def main() -> None:
    """Serve on loopback until a signal."""
    serve(FakeReplicate, "A fake Replicate on loopback.", 9102)
