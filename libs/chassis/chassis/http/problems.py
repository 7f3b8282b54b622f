"""Problem documents (RFC 9457): the one writer, and the issues that Pydantic's errors become. The edge that calls chooses the status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from contracts.json_pointer import pointer
from contracts.validation.faults import faults_of

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:sayso:problem:{}"

Issue = dict[str, Any]
"""One thing that is wrong: `path` (a JSON Pointer, RFC 6901), `code`, `message`, and further members."""

STATUS = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "payload_too_large": 413,
    "uri_too_long": 414,
    "unsupported_media_type": 415,
    "validation_failed": 422,
    "rate_limited": 429,
    "headers_too_large": 431,
    "internal_error": 500,
    "unavailable": 503,
}
"""The codes that any edge may answer, and their statuses. Codes of the product have theirs in the gateway alone."""

MOST_ISSUES = 100
"""Issues that a document lists: a body of 200 kB can have 100,000."""

_OWN_MEMBERS = frozenset({"type", "title", "status", "detail", "code", "instance"})
_RETRY = {"Retry-After": "1"}
_UNKNOWN: Final = object()


def problem_response(
    code: str,
    detail: str,
    instance: str,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    status: int | None = None,
) -> Response:
    """Write a problem document about the resource `instance`. `members` never replace the standard ones; 503 says when to retry.

    `status` is for codes that are not in STATUS. Raises KeyError where neither knows one.
    """
    status = status or STATUS[code]
    body = {
        "type": TYPE.format(code),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "instance": instance,
        **{name: value for name, value in (members or {}).items() if name not in _OWN_MEMBERS},
    }
    # A path or a name from the request may hold a lone surrogate, which UTF-8 cannot.
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    retry = _RETRY if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Response(text, status, {**retry, **(headers or {})}, MEDIA_TYPE)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router raises (no such path, no such method) with a problem named after its status."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = status.phrase.lower().replace(" ", "_")
    return problem_response(code, error.detail, request.url.path, headers=error.headers, status=status.value)


def issue(path: str, code: str, message: str, **members: Any) -> Issue:
    """Return one issue. `path` is a JSON Pointer into the body, or the name of a header or parameter behind a slash."""
    return {"path": path, "code": code, "message": message, **members}


def issues_of(error: ValidationError, body: Any = _UNKNOWN, kind: Any = None) -> list[Issue]:
    """Return the first issues of a body, each at its member, without the values that were sent. `kind` is what it should be.

    With the parsed `body`, places that name no member of it are left out: Pydantic puts branches of unions and marks of keys in between.
    """
    found = [
        issue(pointer(fault.places if body is _UNKNOWN else _members(fault.places, body)) + fault.inside, *fault[2:])
        for fault in faults_of(error, kind, MOST_ISSUES)
    ]
    return list({(each["path"], each["message"]): each for each in found}.values())


def _members(places: tuple[str | int, ...], body: Any) -> list[str | int]:
    named: list[str | int] = []
    for place in places:
        match body:
            case dict() if place in body:
                body = body[place]
            case list() if isinstance(place, int) and place < len(body):
                body = body[place]
            case dict() if place == places[-1] and place != "[key]":
                pass
            case _:
                continue
        named.append(place)
    return named
