"""What every client relies on, whatever it asks: HEAD, encodings, repeated names, keys of uploads, CORS, the end of a stream."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from testkit.runs.commands import at_payload_review, calling, cancel, reject
from testkit.runs.specification import Story

from .memory_site import Site, memory_site
from .over_http import PAYLOAD, problem
from .stories import FINISHED, WAITING

NAMED = "https://sign.example"


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """Run a gateway in memory that knows a page elsewhere."""
    async with memory_site(origins=NAMED) as running:
        await running.announce()
        yield running


async def upload(site: Site, body: bytes, key: str | None = None, media_type: str = "text/plain", **query: str) -> Any:
    """Send a file."""
    headers = {} if key is None else {"Idempotency-Key": key}
    return await site.http.post(
        "/hitl/artifacts", files={"file": ("f", body, media_type)}, params=query, headers=headers
    )


PATHS = ["/", "/docs", "/openapi.json", "/asyncapi.json", "/health/live", "/health/ready", "/metrics", "/providers"]
RUNS = ["/hitl/runs", "/hitl/runs/{run}", "/hitl/runs/{run}/history", "/hitl/approvals", "/providers/sandbox"]
ERRORS = ["/nothing", f"/hitl/runs/{uuid4()}", "/hitl/runs?limit=0", "/providers/none"]


@pytest.mark.parametrize("path", [*PATHS, *RUNS, *ERRORS, "/hitl/artifacts/{file}", "/hitl/runs/{run}/events"])
async def test_head_is_get_without_the_body(site: Site, path: str) -> None:
    """On every path that takes GET, with the same status and headers; a stream ends with its head."""
    run_id = await site.orchestrator.tell(FINISHED)
    stored = await upload(site, b"hello")
    path = path.format(run=run_id, file=stored.json()["artifact"].rpartition(":")[2])
    read, head = await site.http.get(path), await site.http.head(path)
    assert (head.status_code, head.content) == (read.status_code, b"")
    if path != "/metrics":  # it counts requests
        assert dict(head.headers) == dict(read.headers)


async def test_the_head_of_a_stream_that_goes_on_comes_at_once(site: Site) -> None:
    """Nothing waits for the run's next event."""
    run_id = await site.orchestrator.tell(WAITING)
    async with asyncio.timeout(10):
        head = await site.http.head(f"/hitl/runs/{run_id}/events")
    assert (head.status_code, head.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")


async def test_head_is_no_way_to_write(site: Site) -> None:
    """A path that takes POST alone takes no HEAD, and says what it takes."""
    answer = await site.http.head(f"/hitl/runs/{uuid4()}/approve")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert (await site.http.put("/hitl/runs")).headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "x-gzip", "identity, gzip", "nonsense"])
@pytest.mark.parametrize("path", ["/hitl/runs", "/hitl/run", "/hitl/runs/{run}/approve", "/hitl/artifacts"])
async def test_an_encoded_body_is_not_taken(site: Site, path: str, encoding: str) -> None:
    """415 with the encoding that is: the sender is told what to change (RFC 9110, section 15.5.16)."""
    run_id = await site.orchestrator.tell(WAITING)
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = await site.http.post(path.format(run=run_id), content=gzip.compress(b'{"prompt": "x"}'), headers=headers)
    problem(answer, 415, "unsupported_media_type")
    assert answer.headers["accept-encoding"] == "identity"
    assert site.orchestrator.broker.asked == []


async def test_a_body_that_is_said_to_be_as_it_is_is_taken(site: Site) -> None:
    """`identity` is no encoding."""
    answer = await site.http.post("/hitl/runs", json={"prompt": "x"}, headers={"Content-Encoding": "Identity"})
    assert answer.status_code == 201


async def test_an_upload_under_a_key_is_answered_once(site: Site) -> None:
    """The same key and bytes get the same answer, whatever came in between; other bytes are refused, and not kept."""
    first = await upload(site, b"<b>hello</b>", "k1", "text/html")
    await upload(site, b"<b>hello</b>", None, "text/css")
    again = await upload(site, b"<b>hello</b>", "k1", "text/html")
    assert (again.status_code, again.json(), again.headers["location"]) == (
        first.status_code,
        first.json(),
        first.headers["location"],
    )
    problem(await upload(site, b"other", "k1"), 422, "idempotency_key_reused")
    problem(await upload(site, b"<b>hello</b>", "k1", session_id="s2"), 422, "idempotency_key_reused")
    assert (await upload(site, b"other", "k2")).status_code == 201
    problem(await upload(site, b"other", "k" * 201), 422, "validation_failed")


@pytest.mark.parametrize(
    ("body", "declared", "served"),
    [
        (b"hello", ("text/html", "text/css"), "text/plain"),
        (b"hello", ("text/csv", "text/csv"), "text/csv"),
        (b"\x00\x01\xff", ("application/x-one", "application/x-two"), "application/octet-stream"),
        (b"PK\x03\x04..", ("application/vnd.one", "application/vnd.two"), "application/zip"),
        (b"\x89PNG\r\n\x1a\n..", ("text/plain", "image/gif"), "image/png"),
        (b"hello", ("image/png", "image/png"), "text/plain"),
        (b"\xff\xfe..", ("image/png", "application/pdf"), "application/octet-stream"),
    ],
)
async def test_a_file_is_served_as_what_it_is_found_to_be(
    site: Site, body: bytes, declared: tuple[str, str], served: str
) -> None:
    """A declared type is believed while all who bring the bytes agree, and where the bytes would not have to prove it."""
    for media_type in declared:
        stored = await upload(site, body, media_type=media_type)
    assert stored.json()["media_type"] == served
    read = await site.http.get(stored.headers["location"])
    assert read.headers["content-type"].partition(";")[0] == served


@pytest.mark.parametrize("path", [*RUNS, *ERRORS, "/hitl/runs/{run}/events", "/health/live"])
async def test_a_named_page_reads_every_answer(site: Site, path: str) -> None:
    """On the fast path, streams and errors too; a page that is not named gets none of it."""
    run_id = await site.orchestrator.tell(FINISHED)
    path = path.format(run=run_id)
    read = await site.http.get(path, headers={"Origin": NAMED})
    assert read.headers["access-control-allow-origin"] == NAMED
    assert "Origin" in read.headers["vary"]
    foreign = await site.http.get(path, headers={"Origin": "https://evil.example"})
    problem(foreign, 403, "forbidden")
    assert "access-control-allow-origin" not in foreign.headers


@pytest.mark.parametrize("path", ["/hitl/runs", "/hitl/runs/{run}/approve", "/hitl/artifacts"])
async def test_a_named_page_writes(site: Site, path: str) -> None:
    """After a preflight, and it can read where the new thing is."""
    run_id = await site.orchestrator.tell(WAITING)
    asking = {"Origin": NAMED, "Access-Control-Request-Method": "POST"}
    asking["Access-Control-Request-Headers"] = "content-type,idempotency-key"
    allowed = await site.http.options(path.format(run=run_id), headers=asking)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, NAMED)
    if path == "/hitl/runs":
        made = await site.http.post(path, json={"prompt": "x", "hitl_config": PAYLOAD}, headers={"Origin": NAMED})
        assert (made.status_code, made.headers["access-control-allow-origin"]) == (201, NAMED)
        assert {"Location", "ETag", "Retry-After"} <= set(made.headers["access-control-expose-headers"].split(", "))


CANCELLED = at_payload_review().given(cancel())
STOPPED = calling().given(cancel())


@pytest.mark.parametrize("story", [FINISHED, CANCELLED], ids=["completed", "cancelled"])
@pytest.mark.parametrize("beyond", [0, 7])
async def test_the_stream_of_a_finished_run_ends_with_204(site: Site, story: Story, beyond: int) -> None:
    """An EventSource that has seen the last event does not come back for ever; one that has not is told the rest first."""
    run_id, last = await site.orchestrator.tell(story), len(story.history)
    seen = {"Last-Event-ID": str(last + beyond)}
    ended = await site.http.get(f"/hitl/runs/{run_id}/events", headers=seen)
    assert (ended.status_code, ended.content) == (204, b"")
    rest = await site.http.get(f"/hitl/runs/{run_id}/events", headers={"Last-Event-ID": str(last - 1)})
    assert (rest.status_code, rest.content.count(b"id: ")) == (200, 1)


async def test_a_finished_run_whose_call_is_being_stopped_is_told_to_the_end(site: Site) -> None:
    """The event with the call's cost is still to come: the stream goes on."""
    run_id = await site.orchestrator.tell(STOPPED)
    assert await first_frames(site, f"/hitl/runs/{run_id}/events", len(STOPPED.history)) is None


@pytest.mark.parametrize("story", [WAITING, WAITING.given(reject())], ids=["waiting", "rejected"])
async def test_a_run_that_can_go_on_keeps_its_stream(site: Site, story: Story) -> None:
    """A rejected run can be retried: its end is not the last event."""
    run_id = await site.orchestrator.tell(story)
    assert await first_frames(site, f"/hitl/runs/{run_id}/events", len(story.history)) is None


async def test_an_id_that_the_run_has_not_reached_begins_anew(site: Site) -> None:
    """A client of another database would wait for ever otherwise."""
    run_id = await site.orchestrator.tell(WAITING)
    told = await first_frames(site, f"/hitl/runs/{run_id}/events", 999)
    assert told is not None
    assert told.startswith(b"id: 1\n")


async def first_frames(site: Site, path: str, seen: int) -> bytes | None:
    """Return the first piece of a stream, or None where it stays open and says nothing."""
    told: asyncio.Queue[bytes] = asyncio.Queue()
    ended = asyncio.Event()

    async def receive() -> Any:
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        elif message.get("body") or not message.get("more_body"):
            told.put_nowait(message["body"])

    headers = [(b"host", b"127.0.0.1"), (b"last-event-id", str(seen).encode())]
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
    }
    serving = asyncio.create_task(site.app({**scope, "root_path": "", "scheme": "http"}, receive, send))
    try:
        async with asyncio.timeout(2):
            return await told.get()
    except TimeoutError:
        return None
    finally:
        ended.set()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
