"""Slots at the start: every topic that is written has a map from slots to partitions, and the log and the ledger have the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.retry import patiently
from contracts.topics import RUN_TOPICS
from messaging.errors import KafkaError
from orchestrator.aggregate import Aggregate, topics_of
from orchestrator.ports import LedgerUnavailable, Log, Store


async def agree_on_slots(aggregates: Sequence[Aggregate[Any, Any]], log: Log, store: Store) -> None:
    """Let log and ledger keep one map for each topic; waits for both without end. Raises SlotsDiffer.

    The ledger decides: of several orchestrators that offer a map at once, the first one's stands, and it is what the log gets.
    """
    topics = sorted({*RUN_TOPICS, *topics_of(aggregates)}, key=lambda topic: topic.name)

    async def agree() -> None:
        await store.keep_slots(await log.slot_maps(topics))
        standing = await store.slot_maps()
        await log.keep_slots([standing[topic.name] for topic in topics])

    await patiently("Kafka and PostgreSQL", agree, LedgerUnavailable, KafkaError)
