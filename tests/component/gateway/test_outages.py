"""PostgreSQL or Kafka unavailable, gateways started and killed: the answers meanwhile, and the recovery without restarts."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from apache_kafka.broker import RealKafka
from contracts.topics import COMMANDS
from gateway.errors import LedgerMissing
from local_stack.ports import LOOPBACK, free_port
from local_stack.postgres.server import Postgres
from local_stack.processes.process import Process, Program
from testkit.kafka.servers import Kafka
from testkit.kafka.topic_records import records_of
from testkit.postgres.ledger_tables import make_ledger_tables
from testkit.postgres.servers import running
from testkit.stack.services import Stack, running_stack
from testkit.stack.user import User, until

from .over_http import PAYLOAD

SHORT = {"SAYSO_OUTCOME_WAIT_SECONDS": "2"}


@asynccontextmanager
async def user_of(stack: Stack) -> AsyncIterator[User]:
    """Give a user of the stack."""
    user = User(stack.gateway_url, stack.ws_url, "ada")
    async with user.http:
        yield user


@pytest_asyncio.fixture(scope="module")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """Run a server for the tests of this module to stop; each leaves it running."""
    async with running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest_asyncio.fixture(scope="module")
async def stack(
    kafka_bootstrap: str, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Run the services on it; each test leaves them running."""
    kafka = Kafka(kafka_bootstrap, embedded=False, log_id=None)
    async with running_stack(kafka, postgres.url(), tmp_path_factory.mktemp("services"), SHORT) as stack:
        yield stack


@pytest_asyncio.fixture
async def with_own_kafka(private_kafka: RealKafka, postgres_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    """Run the services on a Kafka that the test may stop."""
    kafka = Kafka(private_kafka.bootstrap, embedded=False, log_id=None)
    async with running_stack(kafka, postgres_url, tmp_path / "services", SHORT) as stack:
        yield stack


def is_unavailable(answer: httpx.Response) -> bool:
    """Return whether an answer is the problem `unavailable`."""
    return (answer.status_code, answer.json().get("code")) == (503, "unavailable")


async def becomes(
    ask: Callable[[], Awaitable[httpx.Response]], wanted: Callable[[httpx.Response], bool]
) -> httpx.Response:
    """Ask again and again until the answer is as wanted."""

    async def look() -> httpx.Response | None:
        answer = await ask()
        return answer if wanted(answer) else None

    return await until(look, ask)


async def commands_of(stack: Stack, run_id: str) -> list[bytes]:
    """Return what was ever asked of a run."""
    records = await records_of(stack.kafka.bootstrap, COMMANDS.name)
    return [record.value for record in records if record.key == run_id.encode() and record.value]


async def test_postgresql_unavailable_is_503_and_nothing_is_sent(stack: Stack, postgres: Postgres) -> None:
    """Writes, reads, uploads and readiness say so at once; when it returns all goes on, with the same processes."""
    async with user_of(stack) as ada:
        before = await ada.until((await ada.start(hitl=PAYLOAD))["run_id"], "payload_review")
        run_id = before["run_id"]
        pid = stack.services["gateway"].pid
        await postgres.stop()
        await becomes(lambda: ada.http.get("/health/ready"), lambda answer: answer.status_code == 503)
        sent = len(await commands_of(stack, run_id))
        for _ in range(3):
            assert is_unavailable(await ada.decide(before, "approve"))
            assert is_unavailable(await ada.http.post("/hitl/runs", json={"prompt": "x"}))
        assert len(await commands_of(stack, run_id)) == sent
        for path in (f"/hitl/runs/{run_id}", f"/hitl/runs/{run_id}/history", "/hitl/runs", "/hitl/approvals"):
            answer = await ada.http.get(path)
            assert is_unavailable(answer), answer.text
            assert answer.headers["retry-after"]
        assert is_unavailable(await ada.http.post("/hitl/artifacts", files={"file": b"x"}))
        assert is_unavailable(await ada.http.get(f"/hitl/artifacts/{'0' * 64}"))
        assert (await ada.http.get("/providers")).status_code == 200
        assert (await ada.http.get("/health/live")).status_code == 200
        assert (await ada.http.post("/hitl/runs", json={})).status_code == 422

        await postgres.start()
        await becomes(lambda: ada.http.get("/health/ready"), lambda answer: answer.status_code == 200)
        await becomes(lambda: ada.decide(before, "approve"), lambda answer: answer.status_code != 503)
        assert (await ada.until(run_id, "completed"))["last_approval"]["actor"] == "ada"
        assert stack.services["gateway"].pid == pid


async def test_a_command_on_its_way_when_postgresql_goes_is_503_and_kept(stack: Stack, postgres: Postgres) -> None:
    """Not 202: the time is unknown. The answer names the command, which is carried out when the database returns."""
    async with user_of(stack) as ada:
        before = await ada.until((await ada.start(hitl=PAYLOAD))["run_id"], "payload_review")
        sent = len(await commands_of(stack, before["run_id"]))
        stack.pause("orchestrator")
        deciding = asyncio.create_task(ada.decide(before, "approve"))

        async def is_sent() -> bool | None:
            return len(await commands_of(stack, before["run_id"])) > sent or None

        await until(is_sent)
        await postgres.stop()
        answer = await deciding
        assert is_unavailable(answer), answer.text
        assert answer.json()["run_id"] == before["run_id"]
        assert answer.json()["command_id"]
        await postgres.start()
        stack.resume("orchestrator")
        await becomes(lambda: ada.http.get("/health/ready"), lambda ready: ready.status_code == 200)
        assert (await ada.until(before["run_id"], "completed"))["last_approval"]["action"] == "approve"


def another_gateway(stack: Stack, folder: Path, **settings: str) -> tuple[Process, str]:
    """Return one more gateway beside those of a stack, not started yet, and where it will answer."""
    port = free_port()
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": stack.kafka.bootstrap,
        "DATABASE_URL": stack.database_url,
        "SAYSO_GATEWAY_PORT": str(port),
        **settings,
    }
    program = Program("another", [sys.executable, "-m", "gateway"], folder / "another.log", environment)
    return Process(program), f"http://{LOOPBACK}:{port}"


async def is_ready(url: str) -> bool | None:
    """Tell whether a gateway says that it is ready."""
    try:
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{url}/health/ready")).status_code == 200 or None
    except httpx.TransportError:
        return None


async def test_a_gateway_starts_while_postgresql_is_unavailable(
    stack: Stack, postgres: Postgres, tmp_path: Path
) -> None:
    """It lives, says that it is not ready, and makes its tables once the database answers and the orchestrator has made the ledger."""
    fresh = await postgres.create_database("fresh")
    await postgres.stop()
    process, address = another_gateway(stack, tmp_path, DATABASE_URL=fresh)
    process.start()
    try:
        async with httpx.AsyncClient(base_url=address) as client:

            async def lives() -> bool | None:
                try:
                    return (await client.get("/health/live")).status_code == 200 or None
                except httpx.TransportError:
                    return None

            await until(lives)
            assert (await client.get("/health/ready")).status_code == 503
            assert is_unavailable(await client.get("/hitl/runs"))
            await postgres.start()
            await becomes(
                lambda: client.get("/health/ready"),
                lambda answer: answer.json()["checks"]["postgresql"] == LedgerMissing.__doc__,
            )
            await make_ledger_tables(fresh)
            await becomes(lambda: client.get("/hitl/runs"), lambda answer: answer.status_code == 200)
    finally:
        await process.stop()


async def test_two_gateways_share_the_work_and_one_takes_over(stack: Stack, tmp_path: Path) -> None:
    """Whichever projects a run, both read it at the version asked for; when one dies the other goes on."""
    process, address = another_gateway(stack, tmp_path, **SHORT)
    process.start()
    try:
        await until(lambda: is_ready(address))
        async with user_of(stack) as ada, httpx.AsyncClient(base_url=address, timeout=30) as other:
            started = [await ada.start(hitl=PAYLOAD, session_id="both") for _ in range(12)]
            for view in started:
                here, there = await asyncio.gather(
                    *(client.get(f"/hitl/runs/{view['run_id']}?min_version=1") for client in (ada.http, other))
                )
                assert {here.status_code, there.status_code} == {200}
            stack.kill("gateway")

            async def all_wait() -> list[Any] | None:
                page = (await other.get("/hitl/approvals", params={"session_id": "both"})).json()["items"]
                return page if len(page) == len(started) else None

            await until(all_wait)
            await stack.restart("gateway")
            decided = await other.post(f"/hitl/runs/{started[0]['run_id']}/approve")
            version = decided.json()["version"]
            await becomes(
                lambda: other.get(f"/hitl/runs/{started[0]['run_id']}?min_version={version}"),
                lambda answer: answer.status_code == 200,
            )
    finally:
        await process.stop()


async def test_an_open_stream_does_not_keep_a_gateway_from_ending(stack: Stack, tmp_path: Path) -> None:
    """A stop ends streams and waits in order, long before a supervisor would lose patience."""
    process, address = another_gateway(stack, tmp_path)
    process.start()
    try:
        await until(lambda: is_ready(address))
        async with user_of(stack) as ada, httpx.AsyncClient(base_url=address, timeout=60) as other:
            run_id = (await ada.until((await ada.start(hitl=PAYLOAD))["run_id"], "payload_review"))["run_id"]
            async with other.stream("GET", f"/hitl/runs/{run_id}/events") as answer:
                lines = answer.aiter_lines()
                assert (await anext(lines)).startswith("id: 1")
                waiting = asyncio.create_task(other.get(f"/hitl/runs/{run_id}?min_version=99"))
                await process.stop(5)
                assert process.exit_code == 0, process.last_lines()
                assert [line async for line in lines if line.startswith("id: ")]
                await asyncio.gather(waiting, return_exceptions=True)
    finally:
        process.kill()


async def test_the_read_model_is_made_again_by_one_command(stack: Stack) -> None:
    """From the record, beside a gateway that goes on."""
    async with user_of(stack) as ada:
        before = await ada.until((await ada.start(hitl=PAYLOAD))["run_id"], "payload_review")
        connection = await asyncpg.connect(stack.database_url)
        try:
            await connection.execute("truncate views.hitl_runs, views.hitl_pending_approvals, views.hitl_approvals")
        finally:
            await connection.close()
        assert (await ada.http.get(f"/hitl/runs/{before['run_id']}")).status_code == 404
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": stack.kafka.bootstrap,
            "DATABASE_URL": stack.database_url,
        }
        rebuilding = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "rebuild-views", env=environment, stderr=asyncio.subprocess.PIPE
        )
        _, said = await rebuilding.communicate()
        assert rebuilding.returncode == 0, said.decode()
        assert await ada.view(before["run_id"]) == before
        assert before["run_id"] in [
            i["run_id"] for i in (await ada.http.get("/hitl/approvals?limit=200")).json()["items"]
        ]
        await ada.decide(before, "approve")
        await ada.until(before["run_id"], "completed")


async def test_kafka_unavailable_is_503_within_the_wait(with_own_kafka: Stack, private_kafka: RealKafka) -> None:
    """Writes are refused, reads go on; when Kafka returns so do writes, with the same processes and no decision lost."""
    stack = with_own_kafka
    async with user_of(stack) as ada:
        before = await ada.until((await ada.start(hitl=PAYLOAD))["run_id"], "payload_review")
        pid = stack.services["gateway"].pid
        await private_kafka.stop()
        assert is_unavailable(await ada.decide(before, "approve"))
        assert (await ada.view(before["run_id"]))["checkpoint"] == before["checkpoint"]
        assert len((await ada.http.get("/hitl/approvals")).json()["items"]) == 1
        await becomes(lambda: ada.http.get("/health/ready"), lambda answer: answer.status_code == 503)
        await private_kafka.start()
        await becomes(lambda: ada.http.get("/health/ready"), lambda answer: answer.status_code == 200)
        # The refused decision may have been carried out meanwhile; either way there is exactly one.
        await becomes(lambda: ada.decide(before, "approve"), lambda answer: answer.status_code in (200, 409))
        await ada.until(before["run_id"], "completed")
        assert (await ada.kinds(before["run_id"])).count("checkpoint-approved") == 1
        assert (await ada.start())["state"] == "created"
        assert stack.services["gateway"].pid == pid
