"""`make run` on the user's own Kafka and PostgreSQL: both, or either alone."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from apache_kafka.broker import RealKafka
from local_stack.ports import free_port
from local_stack.postgres.server import Postgres
from local_stack.services import MODULES
from testkit.stack.local_run import local_run

pytestmark = pytest.mark.timeout(180)

READY = "Ctrl-C stops everything"


async def test_both_are_used_where_both_are_given(
    tmp_path: Path, private_kafka: RealKafka, postgres_server: Postgres
) -> None:
    """A run waits on them; the stack starts the four services alone and makes no data; stopped, it leaves both as they are."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": private_kafka.bootstrap,
        "DATABASE_URL": await postgres_server.create_database("own_servers"),
    }
    async with local_run(tmp_path, given) as run:
        await run.says(READY)
        assert len(run.process.children()) == len(MODULES)
        await run.says("waiting    payload_review")
        assert f"using the Kafka at {private_kafka.bootstrap}" in run.output
        assert "using the database that DATABASE_URL names" in run.output
        assert await run.interrupt() == 0
    assert not (tmp_path / "data" / "postgres").exists()
    assert private_kafka.alive
    assert postgres_server.alive


async def test_a_database_may_be_given_alone(tmp_path: Path, postgres_server: Postgres) -> None:
    """In the file of settings this time; the broker is the stack's own."""
    (tmp_path / ".env").write_text(f"DATABASE_URL='{await postgres_server.create_database('own_database')}'\n")
    async with local_run(tmp_path) as run:
        await run.says(READY)
        assert len(run.process.children()) == len(MODULES) + 1
        assert "starting the Kafka broker" in run.output
        assert "starting PostgreSQL" not in run.output


async def test_a_kafka_may_be_given_alone(tmp_path: Path, private_kafka: RealKafka) -> None:
    """PostgreSQL is the stack's own; an empty value is none."""
    given = {"KAFKA_BOOTSTRAP_SERVERS": private_kafka.bootstrap, "DATABASE_URL": ""}
    async with local_run(tmp_path, given) as run:
        await run.says(READY)
        assert len(run.process.children()) == len(MODULES) + 1
        assert "starting PostgreSQL" in run.output


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:{closed}", "no Kafka answers at 127.0.0.1:{closed}"),
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:{silent}", "no Kafka answers at 127.0.0.1:{silent} within 15 s"),
        ("DATABASE_URL", "postgresql://127.0.0.1:{closed}/sayso", "no PostgreSQL answers: "),
        ("DATABASE_URL", "postgresql://me:secret@127.0.0.1:{silent}/sayso", "no PostgreSQL answers within 10 s"),
    ],
)
async def test_a_server_that_does_not_answer_is_one_line(tmp_path: Path, setting: str, value: str, line: str) -> None:
    """The line names the setting and shows no password; what the stack would have started itself was not started."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = {"closed": free_port(), "silent": silent.getsockname()[1]}
        async with local_run(tmp_path, {setting: value.format(**ports)}) as run:
            assert await run.ends(seconds=60) == 1
            assert run.output.splitlines()[-1].startswith(f"sayso: {setting}: {line.format(**ports)}")
            assert len(run.output.splitlines()) == 2
            assert "secret" not in run.output
    assert not (tmp_path / "data" / "postgres").exists()


async def test_a_database_that_does_not_exist_is_one_line(tmp_path: Path, postgres_server: Postgres) -> None:
    """PostgreSQL's own words, and no password."""
    async with local_run(tmp_path, {"DATABASE_URL": postgres_server.url("none")}) as run:
        assert await run.ends(seconds=60) == 1
        assert run.output.splitlines()[-1] == 'sayso: DATABASE_URL: database "none" does not exist'
