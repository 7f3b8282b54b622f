"""Kafka in memory: orders go in, records come out, offsets are remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.providers.call_stream import StopCall
from contracts.providers.orders import Order
from contracts.topics import STOPS, WORK
from messaging.offset_committer import SentBatch
from provider_worker.ports import BatchHandler
from provider_worker.testing.memory import MemoryPublisher


@dataclass
class MemoryRecord:
    """A record as Kafka holds it."""

    value: bytes | None
    offset: int = 0
    topic: str = WORK.name
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class MemoryTransport:
    """Implements `ports.Transport`. `committed` has the next offset of each partition."""

    def __init__(self) -> None:
        self.publisher = MemoryPublisher()
        self.committed: dict[int, int] = {}
        self._offset = 0
        self._on_orders: BatchHandler | None = None
        self._on_stops: BatchHandler | None = None
        self._receiving = asyncio.Event()

    async def order(self, *orders: Order | bytes) -> None:
        """Hand over one batch of orders; return when they are taken."""
        assert self._on_orders is not None, "the worker receives"
        await self._on_orders([self._record(order, WORK.name) for order in orders])

    async def stop_calls(self, *stops: StopCall) -> None:
        """Hand over one batch of stops."""
        assert self._on_stops is not None, "the worker receives"
        await self._on_stops([self._record(stop, STOPS.name) for stop in stops])

    async def until_received(self) -> None:
        """Return once the worker takes orders."""
        await self._receiving.wait()

    async def start(self) -> None:
        """Connect to nothing."""

    async def receive(self, on_orders: BatchHandler, on_stops: BatchHandler) -> None:
        """Hand batches over from now on."""
        self._on_orders, self._on_stops = on_orders, on_stops
        self._receiving.set()

    async def confirm(self, taken: SentBatch) -> None:
        """Commit a batch."""
        self.committed |= taken.offsets

    async def check(self) -> None:
        """Raise unless orders are being received."""
        if self._on_orders is None:
            raise ConnectionError("not receiving")

    async def settle(self) -> None:
        """Everything that was confirmed is committed."""

    async def stop_receiving(self) -> None:
        """Hand over no further batch."""
        self._on_orders = self._on_stops = None

    async def close(self) -> None:
        """Disconnect from nothing."""

    def _record(self, message: Order | StopCall | bytes, topic: str) -> MemoryRecord:
        body = message if isinstance(message, bytes) else message.model_dump_json().encode()
        self._offset += 1
        return MemoryRecord(body, self._offset - 1, topic)
