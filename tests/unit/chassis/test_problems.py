"""The writer of problem documents, and the issues that Pydantic's errors become."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from chassis.http.problems import STATUS, issues_of, on_http_exception, problem_response
from contracts.json_values import JsonObject


class Item(BaseModel):
    """A member with members."""

    size: int = 0


class Body(BaseModel):
    """A body with all that makes places hard to tell."""

    item: Item | UUID | None = None
    items: list[Item] = []
    facts: JsonObject = {}
    names: dict[str, int] = {}


def faults(body: dict[str, Any], *, known: bool = True) -> list[tuple[str, str]]:
    """Return place and code of each issue; with the body or without."""
    with pytest.raises(ValidationError) as caught:
        Body.model_validate(body, extra="forbid")
    found = issues_of(caught.value, body) if known else issues_of(caught.value)
    return [(each["path"], each["code"]) for each in found]


@pytest.mark.parametrize("code", STATUS)
def test_a_document_has_the_members_of_the_standard(code: str) -> None:
    """And the code beside them; its status is the answer's."""
    answer = problem_response(code, "because", "/hitl/runs/1", {"version": 3})
    body = json.loads(bytes(answer.body))
    assert (answer.status_code, answer.headers["content-type"]) == (STATUS[code], "application/problem+json")
    assert body.pop("title")
    assert body == {
        "type": f"urn:sayso:problem:{code}",
        "status": STATUS[code],
        "detail": "because",
        "code": code,
        "instance": "/hitl/runs/1",
        "version": 3,
    }


def test_further_members_never_take_the_place_of_the_standards() -> None:
    """Details of a refusal may have any name."""
    body = json.loads(bytes(problem_response("forbidden", "no", "/", {"status": 200, "detail": "yes"}).body))
    assert (body["status"], body["detail"]) == (403, "no")


def test_an_unavailable_service_says_when_to_retry() -> None:
    """No other answer does."""
    assert problem_response("unavailable", "gone", "/").headers["retry-after"] == "1"
    assert "retry-after" not in problem_response("forbidden", "no", "/").headers


def test_a_code_without_a_status_needs_one() -> None:
    """Codes of the product have no status here: the gateway gives it."""
    assert problem_response("subject_changed", "x", "/", status=409).status_code == 409
    with pytest.raises(KeyError):
        problem_response("subject_changed", "x", "/")


def test_text_that_utf_8_cannot_hold_does_not_break_the_answer() -> None:
    """A path may hold half a character."""
    assert json.loads(bytes(problem_response("not_found", "nothing at \ud800", "/\udfff").body))["status"] == 404


async def test_the_routers_own_refusals_are_problems() -> None:
    """Named after their status."""
    request = Request({"type": "http", "path": "/x", "headers": [], "query_string": b""})
    answer = await on_http_exception(request, HTTPException(405, headers={"Allow": "GET"}))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert json.loads(bytes(answer.body))["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"item": "x"}, {("/item", "model_type"), ("/item", "uuid_parsing")}),
        ({"items": [{}, {"size": "x"}]}, {("/items/1/size", "int_parsing")}),
        ({"names": {"a/b~c": "x"}}, {("/names/a~1b~0c", "int_parsing")}),
        ({"facts": {"deep": [1, 10**308]}}, {("/facts/deep/1", "json_value")}),
        ({"other": 1}, {("/other", "extra_forbidden")}),
    ],
    ids=["branch", "list", "name", "json", "unknown"],
)
def test_an_issue_stands_at_its_member(body: dict[str, Any], expected: set[tuple[str, str]]) -> None:
    """As a JSON Pointer into the body, without the branches that Pydantic tried."""
    assert set(faults(body)) == expected


def test_without_the_body_every_place_is_told() -> None:
    """A message that is no longer at hand is named as Pydantic names it."""
    assert set(faults({"item": {"size": "x"}}, known=False)) == {
        ("/item/Item/size", "int_parsing"),
        ("/item/uuid", "uuid_type"),
    }


def test_an_issue_never_repeats_what_was_sent() -> None:
    """A secret in a wrong place stays where it was."""
    with pytest.raises(ValidationError) as caught:
        Body.model_validate({"items": "sk-secret"})
    assert "sk-secret" not in json.dumps(issues_of(caught.value))
