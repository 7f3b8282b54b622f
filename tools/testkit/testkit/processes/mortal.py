"""A Kafka and a PostgreSQL that a whole module may kill, pause and start again, one test after the other.

A test leaves them running. `mortal_url` is an empty database, new for each test.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from apache_kafka.artifacts import Unavailable
from apache_kafka.broker import RealKafka
from local_stack.postgres.server import Postgres
from messaging.admin import ensure_topics
from testkit.postgres.servers import fresh_database, running


@pytest_asyncio.fixture(scope="session")
async def mortal_kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealKafka]:
    """Run an Apache Kafka with all topics."""
    kafka = RealKafka(tmp_path_factory.mktemp("mortal-kafka"))
    try:
        await kafka.start()
    except Unavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and Apache Kafka cannot be run here: {missing}", pytrace=False)
        pytest.skip(f"Apache Kafka cannot be run here: {missing}")
    await ensure_topics(kafka.bootstrap)
    yield kafka
    await kafka.stop()


@pytest_asyncio.fixture(scope="session")
async def mortal_postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """Run a PostgreSQL."""
    async with running(tmp_path_factory.mktemp("mortal-postgres")) as server:
        yield server


@pytest_asyncio.fixture
async def mortal_url(mortal_postgres: Postgres) -> AsyncIterator[str]:
    """Give the URL of a database that nobody used before, on the PostgreSQL that may be killed."""
    async with fresh_database(mortal_postgres) as url:
        yield url


def pause(server: Postgres) -> None:
    """Let a server hang with all its processes: connections stay open and nobody answers."""
    _signal(server, signal.SIGSTOP)


def resume(server: Postgres) -> None:
    """Let it go on."""
    _signal(server, signal.SIGCONT)


def _signal(server: Postgres, which: signal.Signals) -> None:
    first = psutil.Process(server.pid)
    for process in (first, *first.children(recursive=True)):
        process.send_signal(which)
