"""A Kafka and a PostgreSQL that tests may kill, pause and start again. Each test leaves them running.

`restartable_url` is an empty database, new for each test.
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
from testkit.kafka.partitions import provisioned_topics
from testkit.postgres.servers import fresh_database, running


@pytest_asyncio.fixture(scope="session")
async def restartable_kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealKafka]:
    """Run an Apache Kafka with all topics."""
    kafka = RealKafka(tmp_path_factory.mktemp("restartable-kafka"))
    try:
        await kafka.start()
    except Unavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI=true, and Apache Kafka cannot be run here: {missing}", pytrace=False)
        pytest.skip(f"Apache Kafka cannot be run here: {missing}")
    await ensure_topics(kafka.bootstrap, topics=provisioned_topics())
    yield kafka
    await kafka.stop()


@pytest_asyncio.fixture(scope="session")
async def restartable_postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    """Run a PostgreSQL."""
    async with running(tmp_path_factory.mktemp("restartable-postgres")) as server:
        yield server


@pytest_asyncio.fixture
async def restartable_url(restartable_postgres: Postgres) -> AsyncIterator[str]:
    """Give the URL of a new database on the PostgreSQL that may be killed."""
    async with fresh_database(restartable_postgres) as url:
        yield url


def pause(server: Postgres) -> None:
    """Suspend a server with all its processes: connections stay open and get no answer."""
    _signal(server, signal.SIGSTOP)


def resume(server: Postgres) -> None:
    """Resume it."""
    _signal(server, signal.SIGCONT)


def _signal(server: Postgres, which: signal.Signals) -> None:
    first = psutil.Process(server.pid)
    for process in (first, *first.children(recursive=True)):
        process.send_signal(which)
