"""The map from slots to partitions: made with a topic, kept for ever, one record a topic on `topic.slots`.

4,096 slots; a key's slot comes from its hash alone. Writers name a record's partition by the map, so more partitions move nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.message import Message

SLOTS = 4096


class SlotMap(Message):
    """Which partition each slot of a topic lies in."""

    topic: str
    slots: Annotated[tuple[int, ...], Field(min_length=SLOTS, max_length=SLOTS)]

    @model_validator(mode="after")
    def _are_partitions(self) -> Self:
        if min(self.slots) < 0:
            raise ValueError("a partition is not negative")
        return self

    @classmethod
    def dealt(cls, topic: str, partitions: Sequence[int]) -> Self:
        """Return a new topic's map: slots dealt out to its partitions in turn, as Kafka's own partitioner does for powers of two."""
        return cls(topic=topic, slots=tuple(partitions[slot % len(partitions)] for slot in range(SLOTS)))
