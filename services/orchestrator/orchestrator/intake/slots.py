"""Slots at the start: every topic that is written has a map from slots to partitions, and the log and the ledger have the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.retry import patiently
from contracts.topics import RUN_TOPICS
from messaging.errors import KafkaError
from orchestrator.aggregate import Aggregate
from orchestrator.ports import LedgerUnavailable, Log, Store


async def keep_slots(aggregates: Sequence[Aggregate[Any, Any]], log: Log, store: Store) -> None:
    """Keep a map for each topic that has none; waits for Kafka and PostgreSQL without end. Raises SlotsDiffer."""
    hosted = {topic for of in aggregates for topic in (of.commands, of.events)}
    topics = sorted({*RUN_TOPICS, *hosted}, key=str)

    async def keep() -> None:
        await store.keep_slots(await log.keep_slots(topics, await store.slot_maps()))

    await patiently("Kafka and PostgreSQL", keep, LedgerUnavailable, KafkaError)
