"""Problem documents in the OpenAPI document: by status, with the codes of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from chassis.http.problems import MEDIA_TYPE
from gateway.http.problems import STATUS


class ProblemIssue(BaseModel):
    """One thing that is wrong, at a JSON Pointer."""

    model_config = ConfigDict(extra="allow")

    path: str
    code: str
    message: str


class ProblemDocument(BaseModel):
    """Why a request was not served (RFC 9457). Members beyond these depend on the code."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    issues: list[ProblemIssue] | None = None


_OR = " or "


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route that may answer with these codes."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(f"`{code}`")
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    return {
        status: {"description": _OR.join(named), "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, named in sorted(by_status.items())
    }


def with_problems(responses: Mapping[str, Any], *codes: str) -> dict[str, Any]:
    """Return the responses of a document's operation, and that it may answer with these codes too, sorted by status."""
    added = dict(responses)
    for status, response in problems(*codes).items():
        former = added.get(str(status), {"description": ""})["description"].split(_OR)
        named = dict.fromkeys([*former, *response["description"].split(_OR)])
        added[str(status)] = {**response, "description": _OR.join(filter(None, named))}
    return dict(sorted(added.items()))
