"""The world behind the ports: Kafka and PostgreSQL, and both in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.background import Background
from chassis.failpoints import OFF, Failpoints, load_failpoints
from chassis.settings import Settings
from orchestrator.adapters.kafka import KafkaLog
from orchestrator.adapters.memory.ledger import MemoryDatabase, MemoryLedger
from orchestrator.adapters.memory.log import MemoryKafka, MemoryLog
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.adapters.postgres.memberships import Memberships
from orchestrator.aggregate import Aggregate
from orchestrator.ports import Adapters, know_nothing


def real_adapters(settings: Settings, background: Background, aggregates: Sequence[Aggregate[Any, Any]]) -> Adapters:
    """Return Kafka and PostgreSQL. Nothing connects yet."""
    url = settings.database_url.get_secret_value()
    log = KafkaLog(settings, background, aggregates)
    failpoints = load_failpoints()
    look_up = Memberships(url, failpoints.now).look_up if settings.auth == "on" else know_nothing
    return Adapters(log, lambda log_id, aggregate: PostgresLedger(url, log_id, aggregate), failpoints, look_up)


def memory_adapters(kafka: MemoryKafka, database: MemoryDatabase, failpoints: Failpoints = OFF) -> Adapters:
    """Return both in memory: what they hold outlives the orchestrator that uses them."""
    return Adapters(MemoryLog(kafka), lambda log_id, aggregate: MemoryLedger(database, log_id, aggregate), failpoints)
