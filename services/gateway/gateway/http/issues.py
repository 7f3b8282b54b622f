"""What is wrong with a request, and where: issues with a JSON Pointer, made of Pydantic's errors. Knows no HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from contracts.json_pointer import inside, pointer

Issue = dict[str, Any]


def issue(path: str, code: str, message: str, **members: Any) -> Issue:
    """Return one issue. `path` is a JSON Pointer (RFC 6901) into the body, or a parameter's name behind a slash."""
    return {"path": path, "code": code, "message": message, **members}


def issues_of_body(error: ValidationError, body: Any) -> list[Issue]:
    """Return the issues of a body, each at the member that it is about."""
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        deeper, message = inside(detail)
        found.append(issue(_path(detail["loc"], body) + deeper, detail["type"], message))
    return list({(each["path"], each["message"]): each for each in found}.values())


def issues_of_parameters(errors: Sequence[Mapping[str, Any]]) -> list[Issue]:
    """Return the issues of query, header and path parameters; `in` says which of these."""
    return [
        issue(pointer(error["loc"][1:]), error["type"], error["msg"], **{"in": error["loc"][0]}) for error in errors
    ]


def _path(places: Sequence[str | int], body: Any) -> str:
    """Leave out what names no member: Pydantic puts the branches of unions and the marks of keys in between."""
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
    return pointer(named)
