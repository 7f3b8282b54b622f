"""Errors as problem documents (RFC 9457). The only place where the product's codes get an HTTP status."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from chassis.http.problems import MOST_ISSUES, Issue, issue, problem_response
from chassis.http.problems import STATUS as STATUS_OF_EDGES
from contracts.json_pointer import pointer
from contracts.runs.outcomes import Refused
from contracts.validation.faults import faults_in
from gateway.errors import DatabaseUnavailable, GatewayError, NoProviders, QueryTooSlow
from identity.errors import IdentityUnavailable
from messaging.errors import BrokerUnavailable

STATUS = STATUS_OF_EDGES | {
    "csrf_failed": 403,
    "run_not_found": 404,
    "artifact_not_found": 404,
    "provider_not_found": 404,
    "api_key_not_found": 404,
    "comment_not_found": 404,
    "draft_not_found": 404,
    "absence_not_found": 404,
    "absence_overlaps": 409,
    "too_many_absences": 409,
    "substitution_circle": 422,
    "not_candidate": 403,
    "four_eyes": 403,
    "run_already_exists": 409,
    "checkpoint_already_decided": 409,
    "checkpoint_mismatch": 409,
    "subject_changed": 409,
    "not_allowed": 409,
    "claimed_by_other": 409,
    "not_claimed": 409,
    "delegated": 409,
    "already_voted": 409,
    "newer_history": 409,
    "history_too_long": 409,
    "precondition_failed": 412,
    "idempotency_key_reused": 422,
}
"""The status of every code that a caller can meet. A refusal with another code is a conflict with the run's state: 409."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_log = structlog.get_logger(__name__)


class Problem(GatewayError):
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


def invalid(issues: Sequence[Issue]) -> Problem:
    """Return the problem of a request that does not validate. Its detail is the first issue."""
    first = issues[0]
    more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
    detail = f"{first['path'] or '/'}: {first['message']}{more}"
    return Problem("validation_failed", detail, {"issues": list(issues[:MOST_ISSUES])})


def invalid_parameters(errors: Sequence[Mapping[str, Any]], kind: Any = None) -> Problem:
    """Return the problem of query, header and path parameters, of which Pydantic's first place says one. `kind` is what they should be."""
    return invalid(
        [
            issue(pointer(fault.places[1:]), fault.code, fault.message, **{"in": fault.places[0]})
            for fault in faults_in(errors, kind)
        ]
    )


def unavailable(detail: str, **members: Any) -> Problem:
    """Return the problem of a request that cannot be served now and may be sent again."""
    return Problem("unavailable", detail, members)


def refused(outcome: Refused) -> Problem:
    """Return a refusal as a problem; its details become members of the document."""
    if outcome.code not in STATUS:
        _log.warning("a refusal that this gateway does not know", code=outcome.code)
    return Problem(outcome.code, outcome.message, outcome.details)


def document(problem: Problem, instance: str) -> Response:
    """Write the document of a problem with the resource `instance`."""
    status = STATUS.get(problem.code, 409)
    return problem_response(problem.code, problem.detail, instance, problem.members, problem.headers, status=status)


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer with a problem."""
    assert isinstance(error, Problem)
    return document(error, request.url.path)


async def on_unavailable(request: Request, error: Exception) -> Response:
    """Answer that the database, Kafka or every provider is unavailable."""
    match error:
        case QueryTooSlow():
            reason = "the database did not answer this query in time"
        case DatabaseUnavailable() | IdentityUnavailable():
            reason = "the database does not answer"
        case BrokerUnavailable():
            reason = "Kafka does not take commands"
        case _:
            reason = str(error)
    return document(unavailable(reason), request.url.path)


async def on_parameters(request: Request, error: Exception) -> Response:
    """Answer which parameters do not validate."""
    assert isinstance(error, RequestValidationError)
    query = (parameter.field_info.annotation for parameter in request.scope["route"].dependant.query_params)
    return document(invalid_parameters(error.errors(), next(query, None)), request.url.path)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer that the router knows no such path or no such method."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    match error.status_code:
        case 404:
            return document(Problem("not_found", f"there is nothing at {path}"), path)
        case 405:
            allowed = ", ".join(_allowed(request))
            detail = f"{path} takes {allowed}, not {request.method}"
            return document(Problem("method_not_allowed", detail, headers={"Allow": allowed}), path)
        case _:
            return document(invalid([issue("", "malformed", str(error.detail))]), path)


async def on_disconnect(_: Request, __: Exception) -> Response:
    """Return an answer that is never read: the client hung up while it was sending."""
    return Response(status_code=400)


async def on_bug(request: Request, _: Exception) -> Response:
    """Answer that this is our fault. The server logs the error and goes on."""
    return document(Problem("internal_error", "an error of ours; it has been logged"), request.url.path)


HANDLERS: dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]] = {
    Problem: on_problem,
    DatabaseUnavailable: on_unavailable,
    BrokerUnavailable: on_unavailable,
    NoProviders: on_unavailable,
    IdentityUnavailable: on_unavailable,
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
    """Ask every route, since the router asks only the first whose path fits. HEAD comes with GET."""
    routes = request.app.router.routes
    found = [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return [each for method in found for each in (("GET", "HEAD") if method == "GET" else (method,))]
