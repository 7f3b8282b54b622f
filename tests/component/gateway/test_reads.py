"""Reading over HTTP: views, lists, histories, streams, files, providers, and what bad parameters get."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from contracts.kafka import Outgoing, Producer
from contracts.topics import EVENTS
from support.asking import approve, at_payload_review, executed
from support.client import User, until
from support.projecting import appending_at, history_of, view_of
from support.records import records_of
from support.stack import Stack

PAYLOAD = {"policy": "require_human", "allowed_steps": ["payload_review"]}
FINISHED = at_payload_review().given(approve(), executed(), approve())


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


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Expect a problem document and return it."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = dict(answer.json())
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code), document
    return document


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


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/hitl/runs?stat=created", ["/stat"]),
        ("/hitl/runs?state=waiting", ["/state"]),
        ("/hitl/runs?limit=0", ["/limit"]),
        ("/hitl/runs?limit=201", ["/limit"]),
        ("/hitl/runs?limit=ten", ["/limit"]),
        ("/hitl/runs?cursor=abc", ["/cursor"]),
        ("/hitl/runs?session_id=%00", ["/session_id"]),
        ("/hitl/runs?user_id=", ["/user_id"]),
        ("/hitl/runs?session_id=" + "x" * 201, ["/session_id"]),
        ("/hitl/approvals?step=lunch&group=%0a", ["/step", "/group"]),
        ("/hitl/approvals?state=created", ["/state"]),
        (f"/hitl/runs/{uuid4()}?version=1", ["/version"]),
        (f"/hitl/runs/{uuid4()}?min_version=0", ["/min_version"]),
        (f"/hitl/runs/{uuid4()}?min_version={2**64}", ["/min_version"]),
        (f"/hitl/runs/{uuid4()}/history?after=-1", ["/after"]),
        (f"/hitl/runs/{uuid4()}/history?limit=1001", ["/limit"]),
        (f"/hitl/runs/{uuid4()}/events?after=1", ["/after"]),
        (f"/hitl/artifacts/{'0' * 64}?download=1", ["/download"]),
        ("/providers?name=x", ["/name"]),
    ],
)
async def test_a_bad_parameter_is_named(ada: User, path: str, names: list[str]) -> None:
    """422 at each, and that it is the query that is meant."""
    document = problem(await ada.http.get(path), 422, "validation_failed")
    assert [(issue["path"], issue["in"]) for issue in document["issues"]] == [(name, "query") for name in names]


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
    await appending_at(site.database_url)(events)
    await publish(producer, run_id, *events[:2], *events[3:])
    assert await ada.view(str(run_id), len(events)) == view_of(events).model_dump(mode="json")
    assert [event["version"] for event in await ada.history(str(run_id))] == list(range(1, len(events) + 1))
    found = await ada.http.get("/hitl/runs", params={"session_id": session, "state": "completed"})
    assert found.json()["items"] == [await ada.view(str(run_id))]


async def test_a_run_that_was_only_published_is_nobodys(ada: User, producer: Producer) -> None:
    """Whoever can write to the topic cannot make one up, and holds up no other."""
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
    await appending_at(site.database_url)(events)
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
    assert await stream_of(ada, run_id, last=str(len(history))) == []


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30])
async def test_an_id_that_is_none_is_named(ada: User, last: str) -> None:
    """The id of an event is its version."""
    answer = await ada.http.get(f"/hitl/runs/{uuid4()}/events", headers={"Last-Event-ID": last})
    assert problem(answer, 422, "validation_failed")["issues"][0]["path"] == "/Last-Event-ID"


async def upload(user: User, body: bytes, media_type: str, **query: str) -> httpx.Response:
    """Send a file."""
    return await user.http.post("/hitl/artifacts", files={"file": ("f", body, media_type)}, params=query)


async def test_a_file_comes_back_as_it_was_and_is_kept_once(ada: User) -> None:
    """By the hash of its content, for ever: whoever has it need not fetch it again."""
    body = b"\x89PNG\r\n\x1a\n" + uuid4().bytes
    answers = [await upload(ada, body, "application/octet-stream", session_id="s1") for _ in range(2)]
    sha256 = hashlib.sha256(body).hexdigest()
    kept = {"artifact": f"artifact:sha256:{sha256}", "size": len(body), "media_type": "image/png"}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(201, kept)] * 2
    read = await ada.http.get(answers[0].headers["location"])
    assert (read.content, read.headers["content-type"]) == (body, "image/png")
    assert read.headers["etag"] == f'"{sha256}"'
    assert "immutable" in read.headers["cache-control"]
    assert "content-disposition" not in read.headers
    again = await ada.http.get(f"/hitl/artifacts/{sha256}", headers={"If-None-Match": f'"{sha256}"'})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/octet-stream"])
async def test_a_file_that_could_act_is_downloaded_and_never_shown(ada: User, media_type: str) -> None:
    """No sniffing, no scripts, no frame: what somebody uploads runs in nobody's browser."""
    stored = await upload(ada, f"<svg onload='alert(1)'>{uuid4()}</svg>".encode(), media_type)
    read = await ada.http.get(stored.headers["location"])
    assert read.headers["content-type"].partition(";")[0] == media_type
    assert read.headers["content-disposition"].startswith("attachment")
    assert read.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in read.headers["content-security-policy"]


async def test_bad_uploads_get_their_problem(ada: User) -> None:
    """No form, no file, a field too many, a broken form, one file too many, too large by far."""
    url = "/hitl/artifacts"
    problem(await ada.http.post(url, content=b"x"), 415, "unsupported_media_type")
    missing = problem(await ada.http.post(url, files={"other": b"x"}), 422, "validation_failed")
    assert {issue["path"] for issue in missing["issues"]} == {"/other", "/file"}
    extra = problem(await ada.http.post(url, files={"file": b"x"}, data={"note": "y"}), 422, "validation_failed")
    assert extra["issues"][0]["path"] == "/note"
    two = [("file", ("a", b"1")), ("file", ("b", b"2"))]
    problem(await ada.http.post(url, files=two), 422, "validation_failed")
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(await ada.http.post(url, content=b"--x\r\nnonsense", headers=headers), 422, "validation_failed")
    problem(
        await ada.http.post(url, content=b"", headers={"Content-Type": "multipart/form-data"}), 422, "validation_failed"
    )
    problem(await upload(ada, b"x", "text/plain", session_id="\x00"), 422, "validation_failed")
    problem(await upload(ada, b"x" * 30_000_000, "text/plain"), 413, "payload_too_large")
    problem(await ada.http.get(f"{url}/{'0' * 64}"), 404, "artifact_not_found")
    problem(await ada.http.get(f"{url}/short"), 404, "artifact_not_found")
    assert (await upload(ada, b"fine", "text/plain")).status_code == 201


async def test_the_providers_say_what_they_offer(ada: User) -> None:
    """All, one by its name, one by its tool's name, and none."""
    offers = {offer["provider"]: offer for offer in (await ada.http.get("/providers")).json()["items"]}
    assert (await ada.http.get("/providers/sandbox")).json() == offers["sandbox"]
    tool = offers["sandbox"]["tool_names"][0]
    assert (await ada.http.get(f"/providers/{tool}")).json() == offers["sandbox"]
    problem(await ada.http.get("/providers/nobody"), 404, "provider_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "/nothing", 404, "not_found", None),
        ("GET", "/hitl/runs/a/b/c", 404, "not_found", None),
        ("DELETE", "/hitl/runs", 405, "method_not_allowed", "GET, POST"),
        ("GET", f"/hitl/runs/{uuid4()}/approve", 405, "method_not_allowed", "POST"),
        ("PUT", f"/hitl/runs/{uuid4()}", 405, "method_not_allowed", "GET"),
    ],
)
async def test_what_no_route_takes_is_a_problem_too(
    ada: User, method: str, path: str, status: int, code: str, allow: str | None
) -> None:
    """With the methods that the path does take."""
    answer = await ada.http.request(method, path)
    problem(answer, status, code)
    assert answer.headers.get("allow") == allow


async def test_the_front_page_leads_to_the_documentation(ada: User) -> None:
    """And its document is served."""
    answer = await ada.http.get("/")
    assert (answer.is_redirect, answer.headers["location"]) == (True, "/docs")
    assert (await ada.http.get("/docs")).status_code == 200
    assert (await ada.http.get("/openapi.json")).json()["info"]["title"] == "Countersign"


async def test_requests_are_counted_by_route_and_never_by_path(ada: User) -> None:
    """A metric's label is none of the infinitely many ids."""
    run_id = (await ada.start(hitl=PAYLOAD))["run_id"]
    await ada.post(run_id, "pause")
    metrics = (await ada.http.get("/metrics")).text
    line = 'countersign_gateway_requests_total{method="POST",route="/hitl/runs/{run_id}/pause",status="200"}'
    assert line in metrics
    assert run_id not in metrics
    for name in ("countersign_gateway_outcome_seconds_count", "countersign_projection_events_total"):
        assert name in metrics
