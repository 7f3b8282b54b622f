"""Kafka records as plain data: one to send, one as it came. Imports nothing of Kafka's clients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

_JSON = [("content-type", b"application/json")]


class Outgoing(NamedTuple):
    """A record to send. Without `partition` it goes where the slot of its key lies; without a key, anywhere."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = _JSON
    partition: int | None = None


class RawRecord(Protocol):
    """One record as Kafka holds it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def key_of(stream_id: UUID) -> bytes:
    """Return the key of all records about a stream."""
    return str(stream_id).encode()


def next_offsets(records: Iterable[RawRecord]) -> dict[int, int]:
    """Return the offset behind the last record of each partition."""
    return {record.partition: record.offset + 1 for record in records}
