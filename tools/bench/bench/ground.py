"""What every measured world stands on: an Apache Kafka and a PostgreSQL of its own, fsync on, empty. Knows no service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from apache_kafka.broker import LONG_LIFE, RealKafka
from local_stack.postgres.server import Postgres
from messaging.admin import ensure_topics


class Ground(NamedTuple):
    """Running servers; Kafka has every topic."""

    postgres: Postgres
    kafka: RealKafka


@asynccontextmanager
async def ground(folder: Path) -> AsyncIterator[Ground]:
    """Start both with their data in `folder`, and end them, whatever happens within."""
    postgres, kafka = Postgres(folder), RealKafka(folder / "kafka", java_options=LONG_LIFE)
    await postgres.start()
    try:
        await kafka.start()
        await ensure_topics(kafka.bootstrap)
        yield Ground(postgres, kafka)
    finally:
        await kafka.stop()
        await postgres.stop()
