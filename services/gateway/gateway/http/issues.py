"""What is wrong with a request, and where: issues with a JSON Pointer, made of Pydantic's errors. Knows no HTTP statuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

Issue = dict[str, Any]


def issue(path: str, code: str, message: str, **members: Any) -> Issue:
    """Return one issue. `path` is a JSON Pointer (RFC 6901) into the body, or a parameter's name behind a slash."""
    return {"path": path, "code": code, "message": message, **members}


def pointer(places: Iterable[str | int]) -> str:
    """Write a JSON Pointer."""
    return "".join(f"/{str(place).replace('~', '~0').replace('/', '~1')}" for place in places)


def issues_of_body(error: ValidationError, body: Any) -> list[Issue]:
    """Return the issues of a body, each at the member that it is about."""
    found = [
        issue(_path(detail["loc"], body) + _deeper(detail), detail["type"], _said(detail))
        for detail in error.errors(include_url=False, include_input=False)
    ]
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


def _deeper(detail: Mapping[str, Any]) -> str:
    """Return the rest of the way into a value that is plain JSON to Pydantic."""
    path = str(detail.get("ctx", {}).get("path", "")) if detail["type"] == "json_value" else ""
    return "" if path == "/" else path


def _said(detail: Mapping[str, Any]) -> str:
    if detail["type"] != "json_value":
        return str(detail["msg"])
    return str(detail["msg"]).removeprefix(f"{detail['ctx']['path']}: ")
