"""The guard before every service: foreign names and foreign pages are refused, named pages are told that they may."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chassis.http.access.guard import EXPOSED, AccessGuard
from chassis.http.access.origins import Site
from chassis.settings import Settings

NAMED = "https://sign.example"
SITE = Settings(_env_file=None, origins=NAMED).site()
FOREIGN = [
    "https://evil.example",
    "http://sign.example:8000",
    "null",
    "http://127.0.0.1:5173",
    "https://sign.example.evil.example",
]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer all that is let through, with an error where the path asks for one."""
    status = 404 if scope["path"] == "/nothing" else 200
    await Response("behind", status, {"ETag": '"1"'})(scope, receive, send)


def client(site: Site = SITE) -> httpx.AsyncClient:
    """Return a client of a guarded service on loopback."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(AccessGuard(behind, site)), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/hitl/runs", "/docs", "/", "/hitl/artifacts/a", "/metrics/x", "/health"])
async def test_a_foreign_name_is_refused_whatever_it_asks(method: str, path: str) -> None:
    """Reads too: a page whose name was turned to this machine shows itself by the name in `Host`."""
    async with client() as http:
        answer = await http.request(method, path, headers={"Host": "evil.example", "Origin": "http://evil.example"})
    assert answer.status_code == 403
    if method != "HEAD":
        assert answer.json()["code"] == "forbidden"
        assert "SAYSO_HOSTS" in answer.json()["detail"]


async def test_a_forwarded_name_is_not_trusted() -> None:
    """A client writes that field as it likes."""
    forwarded = {"X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}
    async with client() as http:
        assert (await http.get("/hitl/runs", headers={"Host": "evil.example", **forwarded})).status_code == 403
        assert (await http.get("/hitl/runs", headers={"X-Forwarded-Host": "evil.example"})).status_code == 200


@pytest.mark.parametrize("host", ["10.1.2.3:8000", "[fd00::7]:8000", "gateway:8000", "localhost"])
@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
async def test_probes_and_scrapers_are_answered(path: str, host: str) -> None:
    """They ask by an address or the name of a container, which no page can have."""
    async with client() as http:
        assert (await http.get(path, headers={"Host": host})).status_code == 200
        assert (await http.get(path, headers={"Host": "evil.example"})).status_code == 403
        assert (await http.get("/hitl/runs", headers={"Host": "10.1.2.3"})).status_code == 403


@pytest.mark.parametrize("hosts", [[], [b"localhost", b"localhost"], [b"localhost", b"evil.example"], [b"a b"], [b""]])
async def test_two_host_fields_none_or_a_malformed_one_are_a_bad_request(hosts: list[bytes]) -> None:
    """RFC 9112, section 3.2: readers would disagree on who is asked."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/hitl/runs", "headers": [(b"host", host) for host in hosts]}
    await AccessGuard(behind, SITE)(scope, receive, send)
    assert sent[0]["status"] == 400
    assert b'"code":"bad_request"' in sent[1]["body"]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", METHODS)
async def test_a_foreign_page_is_refused_and_told_nothing(method: str, origin: str) -> None:
    """It neither writes nor reads, and gets no CORS header; an approval needs no body, so browsers send it unasked."""
    asking = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with client() as http:
        answer = await http.request(method, "/hitl/runs", headers=asking)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    if method != "HEAD":
        assert "SAYSO_ORIGINS" in answer.json()["detail"]


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://127.0.0.1:8000"}, {"Origin": "HTTPS://Sign.Example:443"}])
async def test_programs_our_pages_and_named_pages_are_served(headers: dict[str, str]) -> None:
    """A program says no origin."""
    async with client() as http:
        for method in ("GET", "POST"):
            assert (await http.request(method, "/hitl/runs", headers=headers)).text == "behind"


@pytest.mark.parametrize("path", ["/hitl/runs", "/nothing"])
async def test_a_named_page_may_read_the_answer_errors_too(path: str) -> None:
    """With the headers that clients need; caches keep the answers of different pages apart."""
    async with client() as http:
        answer = await http.get(path, headers={"Origin": NAMED})
        plain = await http.get(path)
    assert answer.headers["access-control-allow-origin"] == NAMED
    assert set(EXPOSED) <= set(answer.headers["access-control-expose-headers"].split(", "))
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["vary"] == plain.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in plain.headers


async def test_a_named_page_is_told_that_it_may_before_it_asks() -> None:
    """A preflight names the method and the headers, and on some networks that the page is a public one."""
    asking = {
        "Origin": NAMED,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, idempotency-key, if-match",
        "Access-Control-Request-Private-Network": "true",
    }
    async with client() as http:
        answer = await http.options("/hitl/runs/r1/approve", headers=asking)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == NAMED
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "content-type, idempotency-key, if-match"
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert "Origin" in answer.headers["vary"]


async def test_two_origin_fields_are_a_foreign_page() -> None:
    """No browser sends two: the second could hide behind the first."""
    async with client() as http:
        answer = await http.get("/hitl/runs", headers=[("Origin", NAMED), ("Origin", "https://evil.example")])
    assert answer.status_code == 403
