"""Absences that begin and end while a socket is open: its client sees what it may see then, and misses nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from chassis.failpoints import utc_now
from contracts.identity import Role
from identity.absences.record import Absence
from notifier.edges import websocket_connection
from testkit.runs.commands import approve
from testkit.runs.people import ANN
from testkit.runs.tasks import by, under

from .guarded_site import Site, guarded_site, heard

ANNS = under({"candidates": {"users": ["ann"]}})
"""A run at whose checkpoint ann is asked alone."""

RUN_ID = ANNS.now.run_id


@pytest_asyncio.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """Run a notifier that asks for credentials. Its gateway knows of absences at once."""
    monkeypatch.setattr(websocket_connection, "SETTLE_SECONDS", 0)
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


async def test_a_substitute_gets_what_waits_and_what_follows_from_when_the_absence_begins(site: Site) -> None:
    """A snapshot comes anew on the open socket, the events behind it, and after the absence no more of them."""
    key, _ = await site.identity.key("bo", Role.REVIEWER)
    of_ann = absence("ann", "bo")
    first, *later = ANNS.when(by(ANN, approve())).events
    async with site.opened(key) as socket:
        assert (await heard(socket, "SNAPSHOT"))["approvals"] == []
        await site.publish(*ANNS.history)
        site.gateway.learn(*(event.to_bytes() for event in ANNS.history))

        await site.identity.absences.add(of_ann)
        (waiting,) = (await heard(socket, "SNAPSHOT"))["approvals"]
        assert waiting["run_id"] == str(RUN_ID)
        await site.publish(first)
        pushed = await heard(socket, "HITL_STATUS_UPDATE")
        assert (pushed["run_id"], pushed["version"]) == (str(RUN_ID), first.version)

        await site.identity.absences.delete("default", of_ann.id)
        await heard(socket, "SNAPSHOT")
        await site.publish(*later)
        await socket.send('{"type": "PING"}')
        assert json.loads(await socket.recv())["type"] == "PONG"


async def test_an_absence_of_others_disturbs_no_socket(site: Site) -> None:
    """No snapshot comes to a client for whom nothing has changed, while the substitute's comes."""
    bo, cy = [(await site.identity.key(name, Role.REVIEWER))[0] for name in ("bo", "cy")]
    async with site.opened(bo) as undisturbed, site.opened(cy) as told:
        for socket in (undisturbed, told):
            await heard(socket, "SNAPSHOT")
        await site.identity.absences.add(absence("ann", "cy"))
        await heard(told, "SNAPSHOT")
        await site.publish(*under({}).history)
        assert json.loads(await undisturbed.recv())["type"] == "HITL_STATUS_UPDATE"
