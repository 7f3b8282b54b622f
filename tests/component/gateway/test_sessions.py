"""Sessions of browsers: what a write of theirs needs, and which requests they count for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from contracts.identity import Role
from identity.keys.record import new_key
from identity.sessions.record import csrf_token, new_session
from testkit.identity_provider.browser import Browser

from .credentials import key, waiting_run
from .memory_site import Site, memory_site
from .over_http import problem


@pytest_asyncio.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials."""
    async with memory_site(auth="on", data_dir=tmp_path_factory.mktemp("gateway")) as running:
        await running.announce()
        yield running


@pytest_asyncio.fixture
async def run_id(site: Site) -> UUID:
    """Let a run of rita's wait for a person, for one test."""
    return await waiting_run(site)


def approval(run_id: UUID) -> str:
    """Return where a run is approved."""
    return f"/hitl/runs/{run_id}/approve"


async def test_a_write_by_a_session_carries_its_token(ann: Browser, run_id: UUID) -> None:
    """None, a foreign one, another session's: 403, and nothing happens. The right one decides."""
    other = new_session().text
    token = await ann.csrf_token()
    for wrong in (None, "", "x", csrf_token(other), csrf_token(other)[:-1], token[:-1], token + "x", "é"):
        headers = [] if wrong is None else [(b"X-CSRF-Token", wrong.encode())]
        problem(await ann.http.post(approval(run_id), json={}, headers=headers), 403, "csrf_failed")
    both = [("X-CSRF-Token", token), ("X-CSRF-Token", token)]
    problem(await ann.http.post(approval(run_id), json={}, headers=both), 403, "csrf_failed")
    view = (await ann.http.post(approval(run_id), json={}, headers={"X-CSRF-Token": token})).json()
    assert view["last_approval"]["actor"] == "ann"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "MADEUP"])
async def test_every_method_that_is_no_read_needs_the_token(ann: Browser, method: str) -> None:
    """Also where there is no such route."""
    problem(await ann.http.request(method, "/nothing"), 403, "csrf_failed")
    answer = await ann.http.request(method, "/nothing", headers={"X-CSRF-Token": await ann.csrf_token()})
    assert answer.status_code in (404, 405)


async def test_another_sessions_token_is_foreign(site: Site, ann: Browser, run_id: UUID) -> None:
    """Also that of another session of the same person."""
    async with (second := Browser(str(ann.http.base_url), site.app)).http:
        await second.sign_in_by_key(await key(site, "ann", Role.REVIEWER))
        headers = {"X-CSRF-Token": await second.csrf_token()}
    problem(await ann.http.post(approval(run_id), json={}, headers=headers), 403, "csrf_failed")


async def test_a_field_authorization_counts_alone(site: Site, ann: Browser, run_id: UUID) -> None:
    """Who comes is who it says, no token is needed, and a wrong one is not mended by the cookie."""
    bob = {"Authorization": f"Bearer {await key(site, 'bob', Role.REVIEWER)}"}
    me = (await ann.http.get("/me", headers=bob)).json()
    assert (me["subject"], "csrf_token" in me) == ("bob", False)
    view = (await ann.http.post(approval(run_id), json={}, headers=bob)).json()
    assert view["last_approval"]["actor"] == "bob"
    wrong = {"Authorization": f"Bearer {new_key().text}"}
    problem(await ann.http.get("/me", headers=wrong), 401, "unauthorized")
    problem(await ann.http.get("/me", headers={"Authorization": ""}), 401, "unauthorized")


async def test_a_session_without_its_cookie_is_a_bearer(site: Site, ann: Browser) -> None:
    """The notifier asks for snapshots so; it gets no token of forms."""
    me = (await site.http.get("/me", headers={"Authorization": f"Bearer {ann.session}"})).json()
    assert (me["subject"], "csrf_token" in me) == ("ann", False)


async def test_a_session_reads_what_its_roles_say(ann: Browser, run_id: UUID) -> None:
    """As its key does."""
    assert (await ann.http.get("/hitl/runs")).status_code == 200
    problem(await ann.http.get("/admin/api-keys"), 403, "forbidden")
    stream = await ann.http.head(f"/hitl/runs/{run_id}/events", headers={"Accept": "text/event-stream"})
    assert (stream.status_code, stream.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")


async def test_a_cookie_that_is_there_twice_counts_for_nothing(site: Site, ann: Browser) -> None:
    """A stranger may have set one of them."""
    name = next(one.name for one in ann.http.cookies.jar if one.name.endswith("sayso_session"))
    async with (bare := Browser(str(ann.http.base_url), site.app)).http:
        cookies = {"Cookie": f"{name}={ann.session}; {name}={new_session().text}", "Accept": "*/*"}
        problem(await bare.http.get("/me", headers=cookies), 401, "unauthorized")


async def test_under_https_a_cookie_of_http_is_none(site: Site, ann: Browser) -> None:
    """And the other way round."""
    other = {"http": "https", "https": "http"}[ann.http.base_url.scheme]
    name = next(one.name for one in ann.http.cookies.jar if one.name.endswith("sayso_session"))
    async with (bare := Browser(f"{other}://127.0.0.1", site.app)).http:
        answer = await bare.http.get("/me", headers={"Cookie": f"{name}={ann.session}", "Accept": "*/*"})
        assert problem(answer, 401, "unauthorized")["reason"] == "credential_missing"


async def test_a_foreign_page_uses_no_session(ann: Browser, run_id: UUID) -> None:
    """Also with the right token: the guard knows its origin."""
    headers = {"Origin": "https://evil.example", "X-CSRF-Token": await ann.csrf_token()}
    problem(await ann.http.post(approval(run_id), json={}, headers=headers), 403, "forbidden")
    problem(await ann.http.post("/signin", data={}, headers={"Origin": "null"}), 403, "forbidden")
