"""The shortcut for the commonest requests: which it takes, that it answers as the layers would, and leaves all others to them."""

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
from gateway.http.cross_origin import OwnPages
from gateway.http.fast_path import Front, FrontedApi
from gateway.http.problems import Problem
from gateway.metrics import REQUESTS
from gateway.ports import Away

PATH = "/hitl/runs/{run_id}"


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer all that the front leaves alone."""
    await Response("behind")(scope, receive, send)


def client(endpoint: Any, **settings: Any) -> httpx.AsyncClient:
    """Return a client of a front with one endpoint."""
    transport = httpx.ASGITransport(Front(behind, {("GET", PATH): endpoint}), **settings)
    return httpx.AsyncClient(transport=transport, base_url="http://front")


async def naming(request: Request) -> Response:
    """Answer with the run that was named."""
    return Response(request.path_params["run_id"])


@pytest.mark.parametrize("path", ["/hitl/runs/r1", "/hitl/runs/r1?min_version=7"])
async def test_a_request_it_knows_is_answered_at_once(path: str) -> None:
    """With what the path names, and with the one parameter that cannot be wrong."""
    async with client(naming) as http:
        assert (await http.get(path)).text == "r1"


@pytest.mark.parametrize(
    "path",
    [
        "/hitl/runs",
        "/hitl/runs/",
        "/hitl/runs/r1/",
        "/hitl/runs/r1/history",
        "/hitl/runs/r1?min_version=0",
        "/hitl/runs/r1?min_version=99999999999999999999",
        "/hitl/runs/r1?min_version=1&min_version=2",
        "/hitl/runs/r1?other=1",
        "/",
    ],
)
async def test_all_else_is_left_to_the_application(path: str) -> None:
    """Also what may be wrong: it says so in one place."""
    async with client(naming) as http:
        assert (await http.get(path)).text == "behind"
        assert (await http.post("/hitl/runs/r1")).text == "behind"


@pytest.mark.parametrize(("error", "status"), [(Problem("run_not_found", "no"), 404), (Away("gone"), 503)])
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


def test_every_shortcut_leads_where_the_application_leads() -> None:
    """What the front answers is a route of the application too: documented, and there for whoever comes the long way."""
    app = create_app(Settings())
    assert isinstance(app, FrontedApi)
    assert isinstance(app.before, OwnPages)
    front = app.before.app
    assert isinstance(front, Front)
    assert {method for method, _ in front.endpoints} == {"GET", "POST"}
    assert all(_leads(app, method, path) for method, path in front.endpoints)


def _leads(app: FastAPI, method: str, path: str) -> bool:
    scope = {"type": "http", "method": method, "path": path.replace("{run_id}", "r1"), "headers": [], "root_path": ""}
    return any(route.matches(scope)[0] is Match.FULL for route in app.router.routes)


def _value(counter: Any) -> float:
    return float(next(iter(counter.collect())).samples[0].value)
