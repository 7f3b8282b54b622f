"""Slots: a key's slot comes from its hash alone, and a new map deals slots as Kafka's own partitioner deals keys."""

from __future__ import annotations

from uuid import uuid4

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.slots import SLOTS, SlotMap
from messaging.client.slots import partition_of, slot_of


@given(st.binary(min_size=1, max_size=60))
def test_a_key_has_one_slot(key: bytes) -> None:
    """It is one of 4,096, and the same however many partitions there are."""
    assert 0 <= slot_of(key) < SLOTS == 4096
    assert partition_of(key, range(SLOTS)) == slot_of(key)


@pytest.mark.parametrize("count", [1, 2, 4, 8, 64])
def test_a_new_map_is_kafkas_own_choice_for_powers_of_two(count: int) -> None:
    """Records of the versions before lie where their keys' slots lie now."""
    partitions = list(range(count))
    slots = SlotMap.dealt("t", partitions).slots
    choose = DefaultPartitioner()
    for key in (str(uuid4()).encode() for _ in range(300)):
        assert partition_of(key, slots) == choose(key, partitions, partitions)


@pytest.mark.parametrize("count", [3, 6, 7])
def test_slots_are_dealt_out_evenly(count: int) -> None:
    """No partition has more than one slot above another, and a key without a kept map goes where a new map would send it."""
    slots = SlotMap.dealt("t", range(count)).slots
    held = [slots.count(partition) for partition in range(count)]
    assert max(held) - min(held) <= 1
    for key in (str(uuid4()).encode() for _ in range(100)):
        assert partition_of(key, slots) == partition_of(key, range(count))


@pytest.mark.parametrize("slots", [(), (0,) * 4095, (0,) * 4097, (*(0,) * 4095, -1)])
def test_a_map_that_is_none_is_refused(slots: tuple[int, ...]) -> None:
    """It has a partition for each slot, and none is negative."""
    with pytest.raises(ValidationError):
        SlotMap(topic="t", slots=slots)
