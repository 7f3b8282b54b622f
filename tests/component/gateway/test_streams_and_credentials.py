"""A stream is open to whom its route is, and for as long as the credential holds: every stream that the document names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from contracts.identity import ROLES, Right, Role
from gateway.identity.route_rights import ROUTE_RIGHTS, RUN
from identity.keys.record import digest_of
from testkit.runs.tasks import under

from .credentials import bearer, guarded_site, key, token
from .memory_site import NOW, Site, memory_site
from .open_stream import opened
from .over_http import problem

FIRST: dict[tuple[str, str], bytes] = {("GET", f"{RUN}/events"): b"run-started.v1"}
"""Each stream, with what it begins with."""

STREAMS = sorted(FIRST)


@dataclass
class Clock:
    """The time of the day, which a test can turn forward."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give the clock of the site."""
    return Clock()


@pytest_asyncio.fixture
async def site(tmp_path: Path, clock: Clock) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials."""
    async with guarded_site(tmp_path, clock) as running:
        yield running


def path_of(site: Site, route: tuple[str, str]) -> str:
    """Return the address of a stream that is there."""
    return route[1].format(run_id=next(iter(site.tables.rows)))


def test_every_stream_has_a_row(site: Site) -> None:
    """A route whose answer is a stream in the document of the interface fails here until its end is tested."""
    streams = {
        (method.upper(), path)
        for path, operations in site.app.openapi()["paths"].items()
        for method, operation in operations.items()
        if "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    }
    assert streams == set(FIRST)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", STREAMS, ids=" ".join)
async def test_a_stream_is_open_to_the_roles_of_its_route(site: Site, route: tuple[str, str], role: Role) -> None:
    """By a key and by a token: what it begins with comes, or a problem alone."""
    subject = "rita" if role is Role.REQUESTER else "zoe"
    for credential in (await key(site, subject, role), token(sub=subject, roles=[role.value])):
        async with opened(site.app, path_of(site, route), bearer(credential)) as stream:
            if role in ROLES[ROUTE_RIGHTS[route]]:
                await stream.until(FIRST[route])
                assert stream.status == 200
            else:
                await stream.ends()
                assert stream.status == 403


@pytest.mark.parametrize("route", STREAMS, ids=" ".join)
async def test_a_stream_that_is_refused_says_nothing(site: Site, route: tuple[str, str]) -> None:
    """No credential, one without the right, another's run, a foreign tenant's: a problem, and not one event."""
    others = tuple(right for right in Right if right is not ROUTE_RIGHTS[route])
    foreign = await key(site, "eve", Role.ADMIN, tenant="elsewhere")
    for credential, status, code in (
        (None, 401, "unauthorized"),
        (await key(site, "guest"), 403, "forbidden"),
        (await key(site, "adam", Role.ADMIN, scopes=others), 403, "forbidden"),
        (await key(site, "robert", Role.REQUESTER), 403, "forbidden"),
        (foreign, 404, "run_not_found"),
    ):
        problem(await site.http.get(path_of(site, route), headers=bearer(credential)), status, code)
    later = bearer(foreign) | {"Last-Event-ID": "1"}
    problem(await site.http.get(path_of(site, route), headers=later), 404, "run_not_found")


@pytest.mark.parametrize("how", ["revoked", "expired", "token", "token while the database is unavailable"])
@pytest.mark.parametrize("route", STREAMS, ids=" ".join)
async def test_a_stream_ends_with_its_credential(site: Site, clock: Clock, route: tuple[str, str], how: str) -> None:
    """Revoked or expired, by a key or a token; the stream of a credential that holds goes on beside it."""
    ends = NOW + timedelta(hours=1)
    if how.startswith("token"):
        credential = token(exp=int(ends.timestamp()))
    else:
        credential = await key(site, "ann", Role.REVIEWER, expires_at=ends if how == "expired" else None)
    lasting = await key(site, "bob", Role.REVIEWER)
    async with AsyncExitStack() as streams:
        ended, stays = [
            await streams.enter_async_context(opened(site.app, path_of(site, route), bearer(each)))
            for each in (credential, lasting)
        ]
        for stream in (ended, stays):
            await stream.until(FIRST[route])
        if how == "revoked":
            await site.keys.revoke("default", await id_of(site, credential), NOW)
        else:
            site.keys.unavailable = how.endswith("unavailable")
            clock.now += timedelta(hours=2)
        await ended.ends()
        site.keys.unavailable = False
        run_id = next(iter(site.tables.rows))
        approver = bearer(await key(site, "adam", Role.ADMIN))
        assert (await site.http.post(f"/hitl/runs/{run_id}/pause", headers=approver, json={})).status_code == 200
        await stays.until(b"run-paused.v1")
        assert b"run-paused.v1" not in ended.body


@pytest.mark.parametrize("route", STREAMS, ids=" ".join)
async def test_a_stream_ends_when_its_client_stands_in_for_others(site: Site, route: tuple[str, str]) -> None:
    """Its client connects again, and is asked anew what it may see; the stream of a person whom no absence concerns goes on."""
    substitute, other = [bearer(await key(site, name, Role.REVIEWER)) for name in ("bo", "cy")]
    async with (
        opened(site.app, path_of(site, route), substitute) as ended,
        opened(site.app, path_of(site, route), other) as stays,
    ):
        for stream in (ended, stays):
            await stream.until(FIRST[route])
        absence = {"person": "ann", "substitute": "bo", "until": (NOW + timedelta(days=1)).isoformat()}
        approver = bearer(await key(site, "adam", Role.ADMIN))
        assert (await site.http.post("/hitl/absences", headers=approver, json=absence)).status_code == 201
        await ended.ends()
        run_id = next(iter(site.tables.rows))
        assert (await site.http.post(f"/hitl/runs/{run_id}/pause", headers=approver, json={})).status_code == 200
        await stays.until(b"run-paused.v1")


@pytest.mark.parametrize("route", STREAMS, ids=" ".join)
async def test_streams_at_once_end_each_by_itself_while_authentication_is_off(route: tuple[str, str]) -> None:
    """All callers are one there; the end of one stream disturbs no other."""
    async with memory_site() as site:
        await site.orchestrator.tell(under({}))
        path = path_of(site, route)
        async with opened(site.app, path, {}) as stays:
            async with opened(site.app, path, {}) as leaves:
                for stream in (stays, leaves):
                    await stream.until(FIRST[route])
            run_id = next(iter(site.tables.rows))
            assert (await site.http.post(f"/hitl/runs/{run_id}/pause", json={})).status_code == 200
            await stays.until(b"run-paused.v1")
        assert stays.status == leaves.status == 200


async def id_of(site: Site, text: str) -> UUID:
    """Return the id of a key."""
    record = await site.keys.find(digest_of(text))
    assert record is not None
    return record.id
