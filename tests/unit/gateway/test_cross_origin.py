"""Writes are taken from programs and from our own pages. Browsers send some writes without a preflight request."""

from __future__ import annotations

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.http.cross_origin import CrossOriginGuard

FOREIGN = {"origin": "https://evil.example"}


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer all that is let through."""
    await Response("behind")(scope, receive, send)


def client(*others: str) -> httpx.AsyncClient:
    """Return a client of a service at sign.example."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(CrossOriginGuard(behind, others)), base_url="http://sign.example:8000"
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_write_for_a_foreign_page_is_refused(method: str) -> None:
    """An approval needs no body, and a body without a type is asked about by no browser."""
    async with client() as http:
        answer = await http.request(method, "/hitl/runs/r1/approve", headers=FOREIGN)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "https://evil.example" in answer.json()["detail"]
    assert answer.json()["instance"] == "/hitl/runs/r1/approve"


@pytest.mark.parametrize("headers", [{}, {"origin": "http://sign.example"}, {"origin": "https://told.example"}])
async def test_programs_our_pages_and_those_we_are_told_of_write(headers: dict[str, str]) -> None:
    """A program says no origin."""
    async with client("https://told.example") as http:
        assert (await http.post("/hitl/runs", headers=headers)).text == "behind"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_reading_is_left_to_the_browser(method: str) -> None:
    """It shows a page no answer of another host."""
    async with client() as http:
        assert (await http.request(method, "/hitl/runs", headers=FOREIGN)).status_code == 200
