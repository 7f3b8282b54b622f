"""Slots at the start: every topic that is written has a map from slots to partitions, and the log and the ledger have the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.topics import RUN_TOPICS
from orchestrator.aggregate import Aggregate
from orchestrator.ports import Log, Store


async def keep_slots(aggregates: Sequence[Aggregate[Any, Any]], log: Log, store: Store) -> None:
    """Keep a map for each topic that has none. Raises SlotsDiffer, LedgerUnavailable, KafkaError."""
    hosted = {topic for of in aggregates for topic in (of.commands, of.events)}
    topics = sorted({*RUN_TOPICS, *hosted}, key=str)
    await store.keep_slots(await log.keep_slots(topics, await store.slot_maps()))
