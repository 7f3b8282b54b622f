"""Reading runs over HTTP: views, lists, histories and streams, as they were recorded and published."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from contracts.topics import EVENTS
from messaging.producer import Producer
from messaging.records import Outgoing
from testkit.kafka.topic_records import records_of
from testkit.runs.histories import history_of, postgres_append, view_of
from testkit.stack.services import Stack
from testkit.stack.user import User, until

from .over_http import PAYLOAD, problem
from .stories import FINISHED


@pytest_asyncio.fixture(scope="module")
async def producer(site: Stack) -> AsyncIterator[Producer]:
    """Give a producer that plays the orchestrator's part on `run.events`."""
    producer = Producer(site.kafka.bootstrap, "test")
    await producer.start()
    yield producer
    await producer.stop()


async def publish(producer: Producer, run_id: UUID, *events: bytes) -> None:
    """Put events, or what pretends to be some, on the topic."""
    for event in events:
        await producer.send(Outgoing(EVENTS.name, str(run_id).encode(), event))


async def test_a_view_is_read_as_it_was_answered(ada: User) -> None:
    """The same JSON, member by member, once the read model has come that far; the version is the entity tag."""
    before = await ada.until((await ada.start(hitl=PAYLOAD))["run_id"], "payload_review")
    answered = (await ada.decide(before, "reject", reason="no")).json()
    read = await ada.http.get(f"/hitl/runs/{before['run_id']}", params={"min_version": answered["version"]})
    assert read.json() == answered
    assert read.headers["etag"] == f'"{answered["version"]}"'


async def test_a_version_that_does_not_come_is_503_and_says_how_far_it_is(ada: User) -> None:
    """Not an old view in the guise of a new one."""
    run_id = (await ada.until((await ada.start(hitl=PAYLOAD))["run_id"], "payload_review"))["run_id"]
    version = (await ada.view(run_id))["version"]
    behind = problem(await ada.http.get(f"/hitl/runs/{run_id}?min_version={version + 7}"), 503, "unavailable")
    assert behind["version"] == version
    problem(await ada.http.get(f"/hitl/runs/{uuid4()}?min_version=1"), 404, "run_not_found")


@pytest.mark.parametrize("path", ["", "/history", "/events"])
@pytest.mark.parametrize("run_id", [str(uuid4()), "not-a-run", "%00"])
async def test_a_run_that_is_not_there_is_404(ada: User, run_id: str, path: str) -> None:
    """Whatever is asked of it."""
    problem(await ada.http.get(f"/hitl/runs/{run_id}{path}"), 404, "run_not_found")


async def test_a_history_has_the_records_as_they_were_published(ada: User, site: Stack) -> None:
    """Every member of every record, in order, and in pages for a long one."""
    run_id = (await ada.start(hitl=PAYLOAD))["run_id"]
    await ada.decide(await ada.until(run_id, "payload_review"), "approve")
    await ada.until(run_id, "completed")
    published = [
        json.loads(record.value)
        for record in await records_of(site.kafka.bootstrap, EVENTS.name)
        if record.key == run_id.encode() and record.value
    ]
    assert await ada.history(run_id) == published
    pages: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = (await ada.http.get(f"/hitl/runs/{run_id}/history", params={"after": after, "limit": 2})).json()
        assert len(page["items"]) <= 2
        pages += page["items"]
        after = page["next_after"]
    assert pages == published


async def test_lists_go_through_everything_once(ada: User) -> None:
    """Newest runs first, longest waiting first, filtered, whatever the page's size."""
    session = uuid4().hex
    started = [(await ada.start(hitl=PAYLOAD, session_id=session))["run_id"] for _ in range(5)]
    for run_id in started:
        await ada.until(run_id, "payload_review")
    for path, expected in (("/hitl/runs", started[::-1]), ("/hitl/approvals", None)):
        found: list[dict[str, Any]] = []
        query: dict[str, str | int] = {"session_id": session, "limit": 2}
        while True:
            page = (await ada.http.get(path, params=query)).json()
            found += page["items"]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        ids = [item["run_id"] for item in found]
        assert sorted(ids) == sorted(started)
        if expected:
            assert ids == expected
        else:
            opened = [item["checkpoint"]["opened_at"] for item in found]
            assert opened == sorted(opened)
    assert (await ada.http.get("/hitl/approvals", params={"session_id": session, "group": "g"})).json()["items"] == []


async def test_a_run_that_was_recorded_and_published_is_read_and_listed(
    ada: User, site: Stack, producer: Producer
) -> None:
    """The read model knows the record and `run.events`, and nothing else; an event that does not come is in the record."""
    run_id, session = uuid4(), uuid4().hex
    events = history_of(FINISHED, run_id, session_id=session)
    await postgres_append(site.database_url)(events)
    await publish(producer, run_id, *events[:2], *events[3:])
    assert await ada.view(str(run_id), len(events)) == view_of(events).model_dump(mode="json")
    assert [event["version"] for event in await ada.history(str(run_id))] == list(range(1, len(events) + 1))
    found = await ada.http.get("/hitl/runs", params={"session_id": session, "state": "completed"})
    assert found.json()["items"] == [await ada.view(str(run_id))]


async def test_a_run_that_was_only_published_is_not_shown(ada: User, producer: Producer) -> None:
    """A writer to the topic cannot invent a run, and delays no other."""
    run_id, session = uuid4(), uuid4().hex
    await publish(producer, run_id, *history_of(FINISHED, run_id, session_id=session))
    known = await ada.until((await ada.start(hitl=PAYLOAD, session_id=session))["run_id"], "payload_review")
    listed = (await ada.http.get("/hitl/runs", params={"session_id": session})).json()["items"]
    assert [item["run_id"] for item in listed] == [known["run_id"]]
    problem(await ada.http.get(f"/hitl/runs/{run_id}"), 404, "run_not_found")


async def test_malformed_records_become_dead_letters_beside_a_batch_that_lives(
    ada: User, producer: Producer, site: Stack
) -> None:
    """Not JSON, no members, and a value that no column takes: each with the reason, byte for byte."""
    run_id, mark = uuid4(), uuid4().hex
    events = history_of(FINISHED, run_id)
    nul = history_of(FINISHED, uuid4(), session_id=f"{mark}\x00")[0]
    bad = [f"not json {mark}".encode(), json.dumps({"kind": mark}).encode(), nul]
    await postgres_append(site.database_url)(events)
    await publish(producer, run_id, events[0], *bad, *events[1:])
    assert (await ada.view(str(run_id), len(events)))["state"] == "completed"

    async def letters() -> dict[bytes, dict[str, bytes]] | None:
        found = {
            record.value: dict(record.headers)
            for record in await records_of(site.kafka.bootstrap, EVENTS.dead)
            if record.value and mark.encode() in record.value
        }
        return found if found.keys() == set(bad) else None

    for headers in (await until(letters)).values():
        assert headers["error"]
        assert headers["source-topic"] == EVENTS.name.encode()


async def stream_of(user: User, run_id: str, last: str | None = None) -> list[tuple[int, dict[str, Any]]]:
    """Follow a run to the end of its stream."""
    headers = {} if last is None else {"Last-Event-ID": last}
    seen: list[tuple[int, dict[str, Any]]] = []
    async with user.http.stream("GET", f"/hitl/runs/{run_id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event_id = 0
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                event_id = int(line[4:])
            elif line.startswith("data: "):
                seen.append((event_id, json.loads(line[6:])))
    return seen


async def test_a_stream_tells_the_past_and_what_comes_and_ends_with_the_run(ada: User) -> None:
    """What the history has, each with its version as the id; from behind the id that was seen last."""
    run_id = (await ada.start(hitl=PAYLOAD))["run_id"]
    before = await ada.until(run_id, "payload_review")
    following = asyncio.create_task(stream_of(ada, run_id))
    await ada.decide(before, "approve")
    seen = await following
    history = await ada.history(run_id)
    assert [data for _, data in seen] == history
    assert [event_id for event_id, _ in seen] == [event["version"] for event in history]
    assert await stream_of(ada, run_id, last="3") == seen[3:]
    ended = await ada.http.get(f"/hitl/runs/{run_id}/events", headers={"Last-Event-ID": str(len(history))})
    assert (ended.status_code, ended.content) == (204, b"")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30])
async def test_an_id_that_is_none_is_named(ada: User, last: str) -> None:
    """The id of an event is its version."""
    answer = await ada.http.get(f"/hitl/runs/{uuid4()}/events", headers={"Last-Event-ID": last})
    assert problem(answer, 422, "validation_failed")["issues"][0]["path"] == "/Last-Event-ID"
