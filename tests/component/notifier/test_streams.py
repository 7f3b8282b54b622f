"""Server-sent events of one run: what was, then what comes, each once, continued where the client left."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from component.notifier.watchtower import Press, Tower, serving
from notifier.adapters.gateway import Snapshots
from notifier.edges.sse import EventStreams
from notifier.testing.gateway import MemoryGateway
from testkit.runs.commands import approve, at_payload_review, executed
from testkit.runs.pushed_events import hub_of, moved, values_of
from testkit.stack.user import until

FINISHED = at_payload_review().given(approve(), executed(), approve())


class Reading:
    """One stream, message by message."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.comments: list[str] = []
        self.last_id = ""
        self._lines = answer.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """Return the next message, with its event name and id as `(event)` and `(id)`."""
        message: dict[str, Any] = {}
        async with asyncio.timeout(30):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if not line and message:
                    assert message["(event)"] == message["type"]
                    return message
                if line.startswith(":"):
                    self.comments.append(line)
                if name == "id":
                    self.last_id = message["(id)"] = value
                if name == "event":
                    message["(event)"] = value
                if name == "data":
                    message |= json.loads(value)
        raise AssertionError("the stream has ended")

    async def through(self, version: int) -> list[dict[str, Any]]:
        """Return the messages up to the last one of a version."""
        seen = [await self.next()]
        while seen[-1].get("(id)") != str(version):
            seen.append(await self.next())
        return seen


@contextlib.asynccontextmanager
async def reading(notifier: Tower, run_id: object, last: str | None = None) -> AsyncIterator[Reading]:
    """Follow a run."""
    headers = {} if last is None else {"Last-Event-ID": last}
    async with notifier.http.stream("GET", f"/hitl/runs/{run_id}/events", headers=headers) as answer:
        yield Reading(answer)


async def test_a_stream_begins_with_what_was_and_goes_on_with_what_comes(notifier: Tower, press: Press) -> None:
    """The same messages as on the socket, in whatever case the run is named; the id is the version."""
    run = moved(FINISHED)
    await press.publish(*run[:4])
    shouted = str(run[0].run_id).upper()
    async with reading(notifier, shouted) as stream, notifier.watch(run_id=shouted) as watching:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        seen = await stream.through(4)
        await watching.until("SNAPSHOT")
        await press.publish(*run[4:])
        seen += await stream.through(run[-1].version)
        live = await watching.until("HITL_STATUS_UPDATE", version=run[-1].version)
    assert [m["version"] for m in seen if m["type"] == "HITL_STATUS_UPDATE"] == [event.version for event in run]
    assert [m["state"] for m in seen if m["type"] == "HITL_STATUS_UPDATE"][-1] == "completed"
    assert {name: value for name, value in seen[-1].items() if not name.startswith("(")} == live


async def test_a_stream_goes_on_after_the_last_event_that_was_seen(notifier: Tower, press: Press) -> None:
    """Nothing twice, nothing missing."""
    run = moved(FINISHED)
    await press.publish(*run)
    async with reading(notifier, run[0].run_id, last="5") as stream:
        seen = await stream.through(run[-1].version)
    assert sorted({m["version"] for m in seen}) == [event.version for event in run[5:]]


async def test_only_the_last_message_of_a_version_carries_its_id(notifier: Tower, press: Press) -> None:
    """Whoever is cut off between a status update and its request to decide gets the request when it returns."""
    run = moved(FINISHED)
    await press.publish(*run[:3])
    async with reading(notifier, run[0].run_id, last="1") as stream:
        assert (await stream.next())["version"] == 2
        update = await stream.next()
        assert (update["type"], update["version"]) == ("HITL_STATUS_UPDATE", 3)
        assert stream.last_id == "2"
    async with reading(notifier, run[0].run_id, last=stream.last_id) as stream:
        assert [m["type"] for m in await stream.through(3)] == ["HITL_STATUS_UPDATE", "HITL_APPROVAL_REQUEST"]


async def test_what_the_read_model_does_not_have_yet_comes_from_the_log(notifier: Tower, press: Press) -> None:
    """It lags; the run may even be unknown to it."""
    run, other = moved(FINISHED), moved(FINISHED)
    press.gateway.learn(*(event.to_bytes() for event in run[:2]))
    await press.publish(*run, learn=False)
    await press.publish(*other, learn=False)
    async with notifier.watch(run_id=str(other[0].run_id)) as watching:
        await watching.until("HITL_STATUS_UPDATE", version=other[-1].version)
    for events in (run, other):
        async with reading(notifier, events[0].run_id) as stream:
            seen = await stream.through(events[-1].version)
        assert [m["version"] for m in seen if m["type"] == "HITL_STATUS_UPDATE"] == [e.version for e in events]


async def test_the_cursor_of_what_was_is_good_for_the_socket(notifier: Tower, press: Press) -> None:
    """Whoever changes over misses nothing."""
    run = moved(FINISHED)
    await press.publish(*run)
    async with reading(notifier, run[0].run_id) as stream:
        first = await stream.next()
    async with notifier.watch(run_id=str(run[0].run_id), cursor=first["cursor"]) as watching:
        message = await watching.next()
        if message["type"] == "SNAPSHOT":
            assert message["runs"][0]["version"] == run[-1].version
        else:
            await watching.until("HITL_STATUS_UPDATE", version=run[-1].version)


async def test_what_cannot_be_followed_is_a_problem(notifier: Tower, gateway: MemoryGateway) -> None:
    """An unknown run, an id that is none, a gateway that is away."""
    url = f"/hitl/runs/{uuid4()}/events"
    unknown, nonsense = await notifier.http.get(url), await notifier.http.get("/hitl/runs/7/events")
    assert [(a.status_code, a.json()["code"]) for a in (unknown, nonsense)] == [(404, "run_not_found")] * 2
    assert unknown.headers["content-type"] == "application/problem+json"
    bad_id = await notifier.http.get(url, headers={"Last-Event-ID": "yesterday"})
    assert (bad_id.status_code, bad_id.json()["issues"][0]["path"]) == (422, "/Last-Event-ID")
    nowhere = await notifier.http.get("/hitl/runs")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
    gateway.away = True
    try:
        away = await notifier.http.get(url)
    finally:
        gateway.away = False
    assert (away.status_code, away.json()["code"]) == (503, "unavailable")


async def test_a_client_that_leaves_is_forgotten(notifier: Tower, press: Press) -> None:
    """Its place in the hub is given back."""
    run = moved(FINISHED)
    await press.publish(*run[:1])
    clients = partial(notifier.metric, 'sayso_notifier_clients{edge="sse"}')
    async with reading(notifier, run[0].run_id) as stream:
        await stream.next()
        assert await clients() >= 1

    async def gone() -> bool | None:
        return await clients() == 0 or None

    await until(gone)


async def test_a_silent_stream_is_kept_alive(gateway: MemoryGateway, gateway_url: str) -> None:
    """Comments come while nothing else does."""
    run_id, caught_up, snapshots = uuid4(), asyncio.Event(), Snapshots(gateway_url)
    caught_up.set()
    gateway.learn(*values_of(FINISHED, run_id)[:1])
    hub = hub_of()
    streams = EventStreams(hub, snapshots, caught_up, heartbeat_seconds=0.01)
    app = Starlette(routes=[Route("/hitl/runs/{run_id}/events", streams.endpoint)])
    async with serving(app) as address, httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as http:
        async with http.stream("GET", f"/hitl/runs/{run_id}/events") as answer:
            lines = [line async for line in _first(answer, 8)]
        assert lines.count(": still here") >= 2
    await snapshots.close()


async def _first(answer: httpx.Response, count: int) -> AsyncIterator[str]:
    async for line in answer.aiter_lines():
        yield line
        count -= 1
        if not count:
            return
