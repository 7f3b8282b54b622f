"""Slots: a key's slot never changes, and a map kept with the topic says which partition a slot lies in.

Adding partitions to a topic therefore moves no key. Without a kept map, slots are dealt out to the partitions in turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import lru_cache

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.partitioner import murmur2
from pydantic import ValidationError

from contracts.slots import SLOTS, SlotMap
from contracts.topics import SLOT_MAPS
from contracts.validation.faults import explain
from messaging.aiokafka_internals.shutdown import stop_consumer

_log = logging.getLogger(__name__)

READ_SECONDS = 10.0

METADATA_MS = 20_000
"""How old the knowledge of a topic's partitions may be: added ones are read within a minute. The library's own is five minutes."""

_PLACE = TopicPartition(SLOT_MAPS.name, 0)


@lru_cache(maxsize=4096)
def slot_of(key: bytes) -> int:
    """Return a key's slot, from 0 to 4,095."""
    # All records of a stream have its key, and the library's hash is written in Python.
    return int(murmur2(key)) & (SLOTS - 1)


def partition_of(key: bytes, slots: Sequence[int]) -> int:
    """Return a key's partition by a map of slots, or by the topic's partitions where there is no map."""
    return slots[slot_of(key) % len(slots)]


async def read_slot_maps(bootstrap: str) -> dict[str, SlotMap]:
    """Return the maps that are kept with the log, by topic; none where nothing was kept. Raises KafkaError."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    try:
        async with asyncio.timeout(READ_SECONDS):
            await consumer.start()
            return await _read(consumer)
    except TimeoutError as error:
        raise KafkaTimeoutError(f"the maps of slots were not read within {READ_SECONDS:g} s") from error
    finally:
        await stop_consumer(consumer)  # also where the start failed: it has connections and tasks by then


async def _read(consumer: AIOKafkaConsumer) -> dict[str, SlotMap]:
    found: dict[str, SlotMap] = {}
    if SLOT_MAPS.name not in await consumer.topics():
        return found
    consumer.assign([_PLACE])
    end = (await consumer.end_offsets([_PLACE]))[_PLACE]
    while await consumer.position(_PLACE) < end:
        for record in (await consumer.getmany(timeout_ms=1000)).get(_PLACE, ()):
            try:
                kept = SlotMap.model_validate_json(record.value or b"")
            except ValidationError as error:
                _log.error("a map of slots could not be read: %s", explain(error))
                continue
            found[kept.topic] = kept
    return found
