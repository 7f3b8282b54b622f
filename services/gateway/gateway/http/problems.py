"""Problem documents (RFC 9457), and the one place where codes become HTTP statuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from contracts.runs.outcomes import Refused
from gateway.catalog import NothingAnnounced
from gateway.http.issues import issues_of_parameters
from gateway.ports import Away
from messaging.errors import BrokerUnavailable

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:sayso:problem:{}"

STATUS = {
    "run_not_found": 404,
    "artifact_not_found": 404,
    "provider_not_found": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "run_already_exists": 409,
    "checkpoint_already_decided": 409,
    "checkpoint_mismatch": 409,
    "subject_changed": 409,
    "not_allowed": 409,
    "newer_history": 409,
    "precondition_failed": 412,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "validation_failed": 422,
    "idempotency_key_reused": 422,
    "unauthorized": 401,
    "forbidden": 403,
    "rate_limited": 429,
    "internal_error": 500,
    "unavailable": 503,
}
"""Every code a caller can meet. A refusal that is not listed is a conflict with the run's state."""

_OWN_MEMBERS = frozenset({"type", "title", "status", "detail", "code", "instance"})
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_log = structlog.get_logger(__name__)


class Problem(Exception):
    """The request gets this answer. `members` are further members of the document."""

    def __init__(
        self,
        code: str,
        detail: str,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.members = members or {}
        self.headers = headers


def invalid(issues: Sequence[Mapping[str, Any]]) -> Problem:
    """Return the problem of a request that does not validate, named by its first issue."""
    first = issues[0]
    more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
    return Problem("validation_failed", f"{first['path'] or '/'}: {first['message']}{more}", {"issues": list(issues)})


def unavailable(detail: str, **members: Any) -> Problem:
    """Return the problem of a request that a working system would have answered."""
    return Problem("unavailable", detail, members, {"Retry-After": "1"})


def refused(outcome: Refused) -> Problem:
    """Return a refusal as a problem; its details become members of the document."""
    if outcome.code not in STATUS:
        _log.warning("a refusal that this gateway does not know", code=outcome.code)
    return Problem(outcome.code, outcome.message, outcome.details)


def document(problem: Problem, instance: str) -> Response:
    """Write a problem document about the resource `instance`."""
    status = STATUS.get(problem.code, 409)
    members = {name: value for name, value in problem.members.items() if name not in _OWN_MEMBERS}
    body = {
        "type": TYPE.format(problem.code),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem.detail,
        "code": problem.code,
        "instance": instance,
        **members,
    }
    # What was asked for may hold text that UTF-8 cannot; the answer may not.
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return Response(text, status, problem.headers, MEDIA_TYPE)


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer with a problem."""
    assert isinstance(error, Problem)
    return document(error, request.url.path)


async def on_away(request: Request, error: Exception) -> Response:
    """Answer that something the request needs is not there."""
    reason = {Away: "the database does not answer", BrokerUnavailable: "Kafka does not take commands"}.get(type(error))
    return document(unavailable(reason or str(error)), request.url.path)


async def on_parameters(request: Request, error: Exception) -> Response:
    """Answer that parameters do not validate, and which."""
    assert isinstance(error, RequestValidationError)
    return document(invalid(issues_of_parameters(error.errors())), request.url.path)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router answers: no such path, no such method."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    match error.status_code:
        case 404:
            return document(Problem("not_found", f"there is nothing at {path}"), path)
        case 405:
            allowed = ", ".join(_allowed(request))
            return document(
                Problem(
                    "method_not_allowed", f"{path} takes {allowed}, not {request.method}", headers={"Allow": allowed}
                ),
                path,
            )
        case _:
            return document(invalid([{"path": "", "code": "malformed", "message": str(error.detail)}]), path)


async def on_disconnect(_: Request, __: Exception) -> Response:
    """Answer nobody: the client hung up while it was sending."""
    return Response(status_code=400)


async def on_bug(request: Request, _: Exception) -> Response:
    """Answer that this is our fault. The server logs the error and goes on."""
    return document(Problem("internal_error", "an error of ours; it has been logged"), request.url.path)


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    Problem: on_problem,
    Away: on_away,
    BrokerUnavailable: on_away,
    NothingAnnounced: on_away,
    RequestValidationError: on_parameters,
    HTTPException: on_http_exception,
    ClientDisconnect: on_disconnect,
    Exception: on_bug,
}


async def answer_to(request: Request, error: Exception) -> tuple[Response, Exception | None]:
    """Return the answer to `error`, and the error again if it is our fault."""
    kind = next(kind for kind in type(error).__mro__ if kind in HANDLERS)
    return await HANDLERS[kind](request, error), error if kind is Exception else None


def _allowed(request: Request) -> list[str]:
    """Ask every route, since the router asks only the first whose path fits."""
    routes = request.app.router.routes
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
