"""Absences that begin and end while a socket is open: its client sees what it may see then, and misses nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest_asyncio

from chassis.failpoints import utc_now
from contracts.identity import Role
from identity.absences.record import Absence
from testkit.runs.commands import approve
from testkit.runs.people import ANN
from testkit.runs.tasks import by, under

from .guarded_site import Site, closed, guarded_site, heard

ANNS = under({"candidates": {"users": ["ann"]}})
"""A run at whose checkpoint ann is asked alone."""

RUN_ID = ANNS.now.run_id


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """Run a notifier that asks for credentials."""
    async with guarded_site() as running:
        yield running


def absence(person: str, substitute: str) -> Absence:
    """Return an absence from now on."""
    now = utc_now()
    return Absence(
        id=uuid4(),
        tenant="default",
        person=person,
        substitute=substitute,
        begins_at=now,
        ends_at=now + timedelta(days=1),
        reason=None,
        created_at=now,
        created_by=person,
    )


async def shown(site: Site, key: str, **query: str) -> list[str]:
    """Return the runs that wait in the snapshot of a socket that is opened now."""
    async with site.opened(key, **query) as socket:
        return [waiting["run_id"] for waiting in (await heard(socket, "SNAPSHOT"))["approvals"]]


async def test_an_open_socket_is_closed_when_what_it_may_show_changes(site: Site) -> None:
    """When an absence begins, and when it ends: its client comes back, and sees what it may see then."""
    key, _ = await site.identity.key("bo", Role.REVIEWER)
    of_ann = absence("ann", "bo")
    await site.publish(*ANNS.history)
    site.gateway.learn(*(event.to_bytes() for event in ANNS.history))
    for change in (site.identity.absences.add(of_ann), site.identity.absences.delete("default", of_ann.id)):
        async with site.opened(key) as socket:
            await heard(socket, "SNAPSHOT")
            await change
            code, reason = await closed(socket)
            assert (code, reason) == (4010, "what you may see has changed: come back without your cursor")


async def test_a_substitute_who_comes_back_with_a_cursor_sees_what_waited_before(site: Site) -> None:
    """No cursor tells since when one stands in: the snapshot does, and the events behind it follow."""
    key, _ = await site.identity.key("bo", Role.REVIEWER)
    async with site.opened(key) as socket:
        cursor = (await heard(socket, "SNAPSHOT"))["cursor"]
    await site.publish(*ANNS.history)
    site.gateway.learn(*(event.to_bytes() for event in ANNS.history))
    await site.identity.absences.add(absence("ann", "bo"))
    site.identity.forget()
    assert await shown(site, key, cursor=cursor) == [str(RUN_ID)]
    async with site.opened(key, cursor=cursor) as socket:
        await heard(socket, "SNAPSHOT")
        await site.publish(*ANNS.when(by(ANN, approve())).events)
        assert (await heard(socket, "HITL_STATUS_UPDATE"))["run_id"] == str(RUN_ID)


async def test_nothing_more_goes_out_of_what_one_may_see_no_longer(site: Site) -> None:
    """Not even what was queued for a client that reads slowly."""
    key, _ = await site.identity.key("bo", Role.REVIEWER)
    of_ann = absence("ann", "bo")
    await site.identity.absences.add(of_ann)
    async with site.opened(key) as socket:
        await heard(socket, "SNAPSHOT")
        await site.identity.absences.delete("default", of_ann.id)
        assert (await closed(socket))[0] == 4010
        await site.publish(*ANNS.history)
    async with site.opened(key) as socket:
        assert (await heard(socket, "SNAPSHOT"))["approvals"] == []
        await site.publish(*ANNS.when(by(ANN, approve())).events)
        await socket.send('{"type": "PING"}')
        assert json.loads(await socket.recv())["type"] == "PONG"


async def test_a_token_that_is_said_as_the_sight_changes_swallows_nothing(site: Site) -> None:
    """`AUTH` may be the first to learn of an absence: the socket closes all the same."""
    token = site.identity.token("bo", Role.REVIEWER)
    async with site.opened(token) as socket:
        await heard(socket, "SNAPSHOT")
        await site.identity.absences.add(absence("ann", "bo"))
        site.identity.forget()
        await socket.send(json.dumps({"type": "AUTH", "token": token}))
        assert (await closed(socket))[0] == 4010


async def test_an_absence_of_others_disturbs_no_socket(site: Site) -> None:
    """A client for whom nothing has changed stays, while the substitute's socket closes."""
    bo, cy = [(await site.identity.key(name, Role.REVIEWER))[0] for name in ("bo", "cy")]
    async with site.opened(bo) as undisturbed, site.opened(cy) as told:
        for socket in (undisturbed, told):
            await heard(socket, "SNAPSHOT")
        await site.identity.absences.add(absence("ann", "cy"))
        assert (await closed(told))[0] == 4010
        await site.publish(*under({}).history)
        assert json.loads(await undisturbed.recv())["type"] == "HITL_STATUS_UPDATE"
