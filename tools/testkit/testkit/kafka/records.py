"""A record in memory, as a consumer gets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.topics import EVENTS


@dataclass
class Record:
    """A record; of `run.events` by default."""

    value: bytes | None
    offset: int = 0
    partition: int = 0
    topic: str = EVENTS.name
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()
