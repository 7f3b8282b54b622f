"""The servers under every measured system: a new Apache Kafka and a new PostgreSQL, fsync on. Knows no service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from apache_kafka.broker import LONG_LIFE, RealKafka
from local_stack.postgres.server import Postgres
from messaging.admin import ensure_topics


class Servers(NamedTuple):
    """Running servers; Kafka has every topic."""

    postgres: Postgres
    kafka: RealKafka


@asynccontextmanager
async def running_servers(folder: Path) -> AsyncIterator[Servers]:
    """Start both with their data in `folder`, and stop them at the end."""
    postgres, kafka = Postgres(folder), RealKafka(folder / "kafka", java_options=LONG_LIFE)
    await postgres.start()
    try:
        await kafka.start()
        await ensure_topics(kafka.bootstrap)
        yield Servers(postgres, kafka)
    finally:
        await kafka.stop()
        await postgres.stop()
