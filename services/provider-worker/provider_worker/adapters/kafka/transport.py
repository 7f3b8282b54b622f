"""The worker's side of Kafka: reads orders in a group and stops outside any, publishes records, commits offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chassis.background import Background
from chassis.retry import patiently
from chassis.settings import Settings
from contracts.topics import STOPS, WORK
from messaging.consumer import (
    commit_offsets,
    create_broker,
    end_offsets,
    guarded,
    subscribe_group,
    subscribe_partitions,
)
from messaging.errors import KafkaError
from messaging.offset_committer import Confirming, Handed
from messaging.producer import Producer
from messaging.records import RawRecord
from provider_worker.adapters.kafka.outbox import Outbox
from provider_worker.ports import BatchHandler

GROUP = "provider-worker"


class KafkaTransport:
    """Implements `ports.Transport`."""

    def __init__(self, settings: Settings, background: Background) -> None:
        bootstrap, fetch_wait_ms = settings.kafka_bootstrap_servers, settings.fetch_wait_ms
        self._background = background
        self._producer = Producer(bootstrap, GROUP)
        self.publisher = Outbox(self._producer)
        self._committer = Confirming(self._commit)
        self._broker = create_broker(bootstrap, GROUP)
        on_orders, on_stops = guarded(self._take_orders, background), guarded(self._take_stops, background)
        self._orders = subscribe_group(self._broker, WORK, on_orders, group=GROUP, fetch_wait_ms=fetch_wait_ms)
        partitions = range(STOPS.partitions)
        subscribe_partitions(
            self._broker, STOPS, partitions, on_stops, fetch_wait_ms=fetch_wait_ms, from_beginning=True
        )
        self._on_orders: BatchHandler | None = None
        self._on_stops: BatchHandler | None = None

    async def start(self) -> None:
        """Connect the producer; wait while Kafka is unavailable."""
        await patiently("Kafka", self._producer.start, KafkaError)
        self._background.start(self._committer.follow(), "offsets")
        self._background.start(self._committer.commit_now_and_then(), "commits")

    async def receive(self, on_orders: BatchHandler, on_stops: BatchHandler) -> None:
        """Begin to hand over batches of `provider.work` and `provider.stops`."""
        self._on_orders, self._on_stops = on_orders, on_stops
        await self._broker.start()

    async def confirm(self, taken: Handed) -> None:
        """Let the offsets of a batch of orders be committed once its sends have arrived."""
        await self._committer.hand(taken)

    async def check(self) -> None:
        """Raise unless this process reads the orders' log."""
        if self._orders.consumer is None:
            raise ConnectionError("connecting")
        await end_offsets(self._orders, WORK, [0])

    async def settle(self) -> None:
        """Commit the offsets of everything that was confirmed."""
        await self._committer.settle()

    async def stop_receiving(self) -> None:
        """Hand over no further batch."""
        await self._broker.stop()

    async def close(self) -> None:
        """Disconnect the producer."""
        await self._producer.stop()

    async def _take_orders(self, records: Sequence[RawRecord]) -> None:
        assert self._on_orders is not None, "the broker starts in `receive`"
        await self._on_orders(records)

    async def _take_stops(self, records: Sequence[RawRecord]) -> None:
        assert self._on_stops is not None, "the broker starts in `receive`"
        await self._on_stops(records)

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        await commit_offsets(self._orders, WORK, offsets)
