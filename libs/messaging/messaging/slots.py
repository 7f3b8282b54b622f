"""Slots: a key's slot never changes, and a map kept with the topic says which partition a slot lies in.

Adding partitions to a topic therefore moves no key. Without a kept map, slots are dealt out to the partitions in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from aiokafka.partitioner import murmur2

from contracts.slots import SLOTS


@lru_cache(maxsize=4096)
def slot_of(key: bytes) -> int:
    """Return a key's slot, from 0 to 4,095."""
    # All records of a stream have its key, and the library's hash is written in Python.
    return int(murmur2(key)) & (SLOTS - 1)


def partition_of(key: bytes, slots: Sequence[int]) -> int:
    """Return a key's partition by a map of slots, or by the topic's partitions where there is no map."""
    return slots[slot_of(key) % len(slots)]
