"""The OpenAPI document: every route with its bodies, answers and examples, and examples that work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chassis.settings import Settings
from contracts.runs.decisions import BODIES, Action
from contracts.runs.tasks.bodies import TASK_BODIES
from gateway.api.examples import ACTIONS, STARTS
from gateway.app import create_app
from gateway.http.models import read_model, read_start
from gateway.http.problems import STATUS
from gateway.identity.route_rights import WITHOUT_ROLE
from gateway.identity.security_schemes import secured


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the document of an application that was wired and never started."""
    return create_app(Settings()).openapi()


ROUTES = {
    ("post", "/hitl/runs"),
    ("post", "/hitl/run"),
    ("get", "/hitl/runs"),
    ("get", "/hitl/runs/{run_id}"),
    ("get", "/hitl/runs/{run_id}/history"),
    ("get", "/hitl/runs/{run_id}/events"),
    ("get", "/hitl/approvals"),
    ("post", "/hitl/artifacts"),
    ("get", "/hitl/artifacts/{sha256}"),
    ("get", "/providers"),
    ("get", "/providers/{name}"),
    ("get", "/version"),
    ("get", "/me"),
    ("get", "/admin/api-keys"),
    ("post", "/admin/api-keys"),
    ("delete", "/admin/api-keys/{key_id}"),
    ("post", "/admin/api-keys/{key_id}/rotate"),
    *(("post", f"/hitl/runs/{{run_id}}/{action}") for action in TASK_BODIES),
    ("get", "/hitl/runs/{run_id}/comments"),
    ("post", "/hitl/runs/{run_id}/comments"),
    ("put", "/hitl/runs/{run_id}/comments/{comment_id}"),
    ("delete", "/hitl/runs/{run_id}/comments/{comment_id}"),
    ("get", "/hitl/runs/{run_id}/draft"),
    ("put", "/hitl/runs/{run_id}/draft"),
    ("delete", "/hitl/runs/{run_id}/draft"),
    ("post", "/hitl/approvals/bulk"),
    ("get", "/hitl/absences"),
    ("post", "/hitl/absences"),
    ("delete", "/hitl/absences/{absence_id}"),
    *(("post", f"/hitl/runs/{{run_id}}/{action}") for action in BODIES),
}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Go through all operations."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def test_every_route_is_documented_and_no_other(document: dict[str, Any]) -> None:
    """The page of the API, route by route."""
    assert {(method, path) for method, path, _ in operations(document)} == ROUTES


def test_every_operation_has_a_name_a_tag_and_its_problems(document: dict[str, Any]) -> None:
    """A generated client can be made of it."""
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document["tags"]}
    for method, path, operation in operations(document):
        assert operation["summary"]
        assert set(operation["tags"]) <= tags, path
        if method == "post":
            assert {"413", "422", "503"} <= operation["responses"].keys(), path
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (path, status)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """No schema is named that is not there."""
    written = json.dumps(document)
    named = {part.split('"')[0] for part in written.split('"#/components/schemas/')[1:]}
    assert named <= document["components"]["schemas"].keys()
    assert {"RunRequest", "WrappedRunInput", "RunInput", "EditBody", "RunView", "KeyBody", "ProblemDocument"} <= named
    assert written.count('"$ref"') == written.count('"$ref": "#/components/schemas/'), "and none is named elsewhere"


def test_bodies_say_that_they_take_no_other_members(document: dict[str, Any]) -> None:
    """What the door refuses, the document does not allow."""
    schemas = document["components"]["schemas"]
    for name in ("RunRequest", "RunInput", "HitlConfig", "ReviewThresholds", "ApproveBody", "ControlBody"):
        assert schemas[name]["additionalProperties"] is False, name
    assert "additionalProperties" not in schemas["RunView"]


@pytest.mark.parametrize("name", STARTS)
def test_the_examples_of_a_start_are_taken(name: str) -> None:
    """A reader who tries one from the page gets a run."""
    body = STARTS[name]["value"]
    assert read_start(json.dumps(body).encode(), body).request.provider == "sandbox"


@pytest.mark.parametrize("action", BODIES)
def test_the_example_of_an_action_is_taken(action: Action) -> None:
    """And so for each decision."""
    body = ACTIONS[action].body
    read_model(BODIES[action], json.dumps(body).encode(), body)


def test_every_code_that_the_document_names_has_a_status(document: dict[str, Any]) -> None:
    """The descriptions of problems are made of codes that exist, under their own status."""
    for _, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                for code in response["description"].replace("`", "").split(" or "):
                    assert STATUS[code] == int(status), (path, code)


def test_every_operation_names_the_credentials_that_it_takes(document: dict[str, Any]) -> None:
    """A key or token, or a session; a write by a session carries its token beside."""
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["session"]["in"], schemes["session"]["name"]) == ("cookie", "sayso_session")
    for method, path, operation in operations(document):
        session: dict[str, list[str]] = {"session": []} if method == "get" else {"session": [], "csrf": []}
        assert operation["security"] == [{"bearer": []}, session], path
        assert {name for each in operation["security"] for name in each} <= schemes.keys()


def test_every_operation_says_how_a_credential_is_refused(document: dict[str, Any]) -> None:
    """401 everywhere, 403 where a role is needed or a session writes: by the table of rights, also for a route to come."""
    for method, path, operation in operations(document):
        assert operation["responses"]["401"]["description"] == "`unauthorized`", path
        refused = operation["responses"].get("403", {"description": ""})["description"]
        assert ("`forbidden`" in refused) is ((method.upper(), path) not in WITHOUT_ROLE), path
        assert ("`csrf_failed`" in refused) is (method != "get"), path


def test_what_is_public_needs_no_credential() -> None:
    """And a route without a row in the table is none of it."""
    answer = {"responses": {"200": {"description": "x"}}}
    told = secured({"paths": {"/health/live": {"get": answer}, "/new": {"get": answer}}, "components": {}})["paths"]
    assert told["/health/live"]["get"] == answer
    assert told["/new"]["get"]["security"]
    assert {"401", "403"} <= told["/new"]["get"]["responses"].keys()
