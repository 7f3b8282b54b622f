"""The gateway's own wiring on memory adapters: no other service, no PostgreSQL, no Kafka, and the real core as the orchestrator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chassis.settings import Settings
from contracts.runs.commands import StartRun
from gateway.app import create_app
from gateway.testing.adapters import memory_adapters
from gateway.testing.memory import MemoryTables

from .memory_orchestrator import MemoryOrchestrator
from .memory_site import NOW, Site, memory_site
from .over_http import PAYLOAD, problem
from .stories import FINISHED, WAITING


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    """Run a gateway in memory."""
    async with memory_site() as running:
        yield running


async def test_a_start_becomes_a_command_and_its_outcome_the_answer(site: Site) -> None:
    """Under the provider's own name and with the time of the gateway's clock; the run is read and listed at once."""
    await site.announce()
    answer = await site.http.post("/hitl/runs", json={"prompt": "x", "provider": "flux", "hitl_config": PAYLOAD})
    view = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/hitl/runs/{view['run_id']}")
    (command,) = site.orchestrator.broker.asked
    assert isinstance(command, StartRun)
    assert (command.request.provider, command.at, command.actor) == ("sandbox", NOW, "anonymous")
    read = await site.http.get(f"/hitl/runs/{view['run_id']}?min_version={view['version']}")
    assert (read.json(), read.headers["etag"]) == (view, answer.headers["etag"])
    assert [item["run_id"] for item in (await site.http.get("/hitl/runs")).json()["items"]] == [view["run_id"]]


async def test_a_decision_is_answered_with_the_view_that_it_led_to(site: Site) -> None:
    """And what waited no longer does; the same decision again is refused, with who decided."""
    run_id = await site.orchestrator.tell(WAITING)
    (waiting,) = (await site.http.get("/hitl/approvals")).json()["items"]
    checkpoint = waiting["checkpoint"]
    body = {name: checkpoint[name] for name in ("checkpoint_id", "subject_sha256")}
    answer = await site.http.post(f"/hitl/runs/{run_id}/approve", json={**body, "actor": "ada", "comment": "good"})
    assert (answer.status_code, answer.json()["state"], answer.json()["last_approval"]["actor"]) == (
        200,
        "api_call",
        "ada",
    )
    assert (await site.http.get("/hitl/approvals")).json()["items"] == []
    late = problem(await site.http.post(f"/hitl/runs/{run_id}/approve", json=body), 409, "checkpoint_already_decided")
    assert late["decision"]["comment"] == "good"


async def test_a_stream_has_the_frames_of_the_contract(site: Site) -> None:
    """For each event its version as the id and the member of `history` as the data, byte for byte as it was recorded."""
    run_id = await site.orchestrator.tell(FINISHED)
    stream = await site.http.get(f"/hitl/runs/{run_id}/events", headers={"Last-Event-ID": "2"})
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.content == b"".join(
        b"id: %d\ndata: %b\n\n" % (event.version, event.to_bytes()) for event in FINISHED.history[2:]
    )
    history = (await site.http.get(f"/hitl/runs/{run_id}/history")).json()["items"]
    assert history == [json.loads(event.to_bytes()) for event in FINISHED.history]


@pytest.mark.parametrize(
    ("database_fails", "status", "told"),
    [(False, 202, {"state": "accepted"}), (True, 503, {"code": "unavailable"})],
    ids=["the database answers", "it does not"],
)
async def test_a_late_outcome_is_no_outcome(
    site: Site,
    database_fails: bool,  # noqa: FBT001 - a case of the table
    status: int,
    told: dict[str, Any],
) -> None:
    """202 where it may come any moment, 503 where the database is what it waits for; both name the command."""
    run_id = await site.orchestrator.tell(WAITING)
    site.orchestrator.is_late = True
    site.orchestrator.on_decision = lambda: setattr(site.tables, "unavailable", database_fails)
    answer = await site.http.post(f"/hitl/runs/{run_id}/approve")
    (command,) = site.orchestrator.broker.asked
    assert answer.status_code == status
    assert answer.json().items() >= {**told, "run_id": str(run_id), "command_id": str(command.command_id)}.items()


async def test_without_the_database_nothing_is_sent(site: Site) -> None:
    """Writes, reads and files are 503 at once, and the gateway says that it is not ready."""
    run_id = await site.orchestrator.tell(WAITING)
    site.tables.unavailable = True
    for method, path in (
        ("POST", f"/hitl/runs/{run_id}/approve"),
        ("GET", f"/hitl/runs/{run_id}"),
        ("GET", f"/hitl/runs/{run_id}/history"),
        ("GET", f"/hitl/runs/{run_id}/events"),
        ("GET", "/hitl/runs"),
        ("GET", f"/hitl/artifacts/{'0' * 64}"),
    ):
        answer = await site.http.request(method, path)
        problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"
    assert site.orchestrator.broker.asked == []
    checks = (await site.http.get("/health/ready")).json()["checks"]
    assert (checks["postgresql"], checks["kafka"]) == ("unavailable", "ok")


async def test_without_kafka_reads_go_on(site: Site) -> None:
    """A write is 503, and nothing was asked."""
    run_id = await site.orchestrator.tell(WAITING)
    site.orchestrator.broker.is_available = False
    problem(await site.http.post(f"/hitl/runs/{run_id}/approve"), 503, "unavailable")
    assert (await site.http.get(f"/hitl/runs/{run_id}")).json()["state"] == "payload_review"
    assert (await site.http.get("/health/ready")).json()["checks"]["kafka"] == "unavailable"


async def test_readiness_waits_for_a_provider(site: Site) -> None:
    """Nothing can be started before one is announced."""
    problem(await site.http.post("/hitl/runs", json={"prompt": "x"}), 503, "unavailable")
    assert (await site.http.get("/health/ready")).status_code == 503
    await site.announce()
    assert (await site.http.get("/health/ready")).json()["checks"] == dict.fromkeys(
        ("kafka", "postgresql", "catalog"), "ok"
    )
    assert (await site.http.get("/providers/flux")).json()["provider"] == "sandbox"


async def test_a_file_is_kept_and_served(site: Site) -> None:
    """Under its hash, with the type that its bytes prove."""
    body = b"\x89PNG\r\n\x1a\n...."
    stored = await site.http.post("/hitl/artifacts", files={"file": ("f", body, "text/html")})
    assert stored.status_code == 201
    read = await site.http.get(stored.headers["location"])
    assert (read.content, read.headers["content-type"]) == (body, "image/png")


async def test_offsets_are_committed_before_the_end() -> None:
    """A gateway that stops in order reads no batch again."""
    tables = MemoryTables()
    orchestrator = MemoryOrchestrator(tables)
    app = create_app(Settings(), memory_adapters(orchestrator.broker, tables))
    async with app.router.lifespan_context(app):
        await orchestrator.tell(FINISHED)
    assert orchestrator.broker.committed == {0: len(FINISHED.history)}
