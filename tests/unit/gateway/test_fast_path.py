"""The fast path: the requests that it answers, that it answers as FastAPI's layers would, and that it leaves all others to them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from chassis.settings import Settings
from gateway.app import create_app
from gateway.errors import DatabaseUnavailable
from gateway.http.fast_path import FastPath
from gateway.http.problems import Problem
from gateway.metrics import REQUESTS

PATH = "/hitl/runs/{run_id}"


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request that the fast path leaves to the application."""
    await Response("behind")(scope, receive, send)


def client(endpoint: Any, **settings: Any) -> httpx.AsyncClient:
    """Return a client of a fast path with one endpoint."""
    transport = httpx.ASGITransport(FastPath(behind, {("GET", PATH): endpoint}), **settings)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def naming(request: Request) -> Response:
    """Answer with the run that was named."""
    return Response(request.path_params["run_id"])


@pytest.mark.parametrize("path", ["/hitl/runs/r1", "/hitl/runs/r1?min_version=7", "/hitl/runs/r1?other=1"])
async def test_a_request_it_knows_is_answered_at_once(path: str) -> None:
    """With the run that the path names; the endpoint reads the query itself."""
    async with client(naming) as http:
        assert (await http.get(path)).text == "r1"


@pytest.mark.parametrize(
    "path",
    [
        "/hitl/runs",
        "/hitl/runs/",
        "/hitl/runs/r1/",
        "/hitl/runs/r1/history",
        "/",
    ],
)
async def test_all_else_is_left_to_the_application(path: str) -> None:
    """Other paths and other methods."""
    async with client(naming) as http:
        assert (await http.get(path)).text == "behind"
        assert (await http.post("/hitl/runs/r1")).text == "behind"


@pytest.mark.parametrize(
    ("error", "status"), [(Problem("run_not_found", "no"), 404), (DatabaseUnavailable("gone"), 503)]
)
async def test_what_an_endpoint_raises_is_answered_as_everywhere(error: Exception, status: int) -> None:
    """As a problem document, and counted under the route's path."""

    async def raising(_: Request) -> Response:
        raise error

    counter = REQUESTS.labels("GET", PATH, status)
    before = _value(counter)
    async with client(raising) as http:
        answer = await http.get("/hitl/runs/r1")
    assert (answer.status_code, answer.json()["instance"]) == (status, "/hitl/runs/r1")
    assert _value(counter) == before + 1


async def test_an_error_of_ours_is_answered_and_raised() -> None:
    """The client gets its document, the server gets the error to log."""

    async def broken(_: Request) -> Response:
        raise ZeroDivisionError

    async with client(broken, raise_app_exceptions=False) as http:
        assert (await http.get("/hitl/runs/r1")).json()["code"] == "internal_error"
    async with client(broken) as http:
        with pytest.raises(ZeroDivisionError):
            await http.get("/hitl/runs/r1")


def test_a_hot_route_is_a_route_of_the_application_too() -> None:
    """It is in the router, under its one method, and in the OpenAPI document, as the table describes it, with its credentials."""
    app = create_app(Settings())
    assert {route.method for route in app.hot} == {"GET", "POST"}
    paths = app.openapi()["paths"]
    for route in app.hot:
        assert _leads(app, route.method, route.path)
        assert not _leads(app, "HEAD", route.path)
        told = paths[route.path][route.method.lower()]
        assert told["responses"].keys() >= route.operation["responses"].keys()
        assert {**told, "responses": route.operation["responses"]} == {**route.operation, "security": told["security"]}


def _leads(app: FastAPI, method: str, path: str) -> bool:
    scope = {"type": "http", "method": method, "path": path.replace("{run_id}", "r1"), "headers": [], "root_path": ""}
    return any(route.matches(scope)[0] is Match.FULL for route in app.router.routes)


def _value(counter: Any) -> float:
    return float(next(iter(counter.collect())).samples[0].value)
