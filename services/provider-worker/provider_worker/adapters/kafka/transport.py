"""The worker's side of Kafka: reads orders in a group and stops outside any, publishes records, commits offsets."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.background import Background
from chassis.retry import patiently
from chassis.settings import Settings
from contracts.topics import CATALOG, COMMANDS, PARTIALS, STOPS, WORK
from messaging.consumer import (
    DeferredHandler,
    check_group,
    commit_offsets,
    create_broker,
    end_offsets,
    fail_fast,
    subscribe_broadcast,
    subscribe_group,
)
from messaging.errors import BrokerUnavailable, KafkaError
from messaging.offset_committer import OffsetCommitter, SentBatch
from messaging.producer import Producer
from provider_worker.adapters.kafka.outbox import Outbox
from provider_worker.ports import BatchHandler

GROUP = "provider-worker"


TOPICS = (WORK.name, WORK.dead, STOPS.name, CATALOG.name, COMMANDS.name, PARTIALS.name)


class KafkaTransport:
    """Implements `ports.Transport`."""

    def __init__(self, settings: Settings, background: Background) -> None:
        bootstrap, fetch_wait_ms = settings.kafka_bootstrap_servers, settings.fetch_wait_ms
        self._background = background
        steady = settings.kafka_steady_path
        self._producer = Producer(bootstrap, GROUP, steady_path=steady)
        self.publisher = Outbox(self._producer)
        self._committer = OffsetCommitter(self._commit)
        self._take_orders, self._take_stops = DeferredHandler(), DeferredHandler()
        self._broker = create_broker(bootstrap, GROUP, [CATALOG, COMMANDS, PARTIALS], steady_path=steady)
        on_orders, on_stops = fail_fast(self._take_orders, background), fail_fast(self._take_stops, background)
        self._orders = subscribe_group(
            self._broker,
            WORK,
            on_orders,
            group=GROUP,
            fetch_wait_ms=fetch_wait_ms,
            on_revoked=self._committer.revoke,
        )
        subscribe_broadcast(self._broker, STOPS, on_stops, fetch_wait_ms=fetch_wait_ms, from_beginning=True)

    async def start(self) -> None:
        """Connect the producer; wait while Kafka is unavailable."""
        await patiently("Kafka", self._producer.start, KafkaError)
        await patiently("Kafka", self._require_topics, KafkaError, BrokerUnavailable)
        self._background.start(self._committer.track(), "offsets")
        self._background.start(self._committer.commit_periodically(), "commits")

    async def receive(self, on_orders: BatchHandler, on_stops: BatchHandler) -> None:
        """Begin to hand over batches of `provider.work` and `provider.stops`."""
        self._take_orders.bind(on_orders)
        self._take_stops.bind(on_stops)
        await self._broker.start()

    async def confirm(self, taken: SentBatch) -> None:
        """Let the offsets of a batch of orders be committed once its sends have arrived."""
        await self._committer.add(taken)

    async def check(self) -> None:
        """Raise unless Kafka has the topics, and this process reads the orders' log."""
        await self._require_topics()
        if self._orders.consumer is None:
            raise ConnectionError("connecting")
        await end_offsets(self._orders, WORK, [0])
        check_group(self._orders)

    async def settle(self) -> None:
        """Commit the offsets of everything that was confirmed."""
        await self._committer.settle()

    async def stop_receiving(self) -> None:
        """Hand over no further batch."""
        await self._broker.stop()

    async def close(self) -> None:
        """Disconnect the producer."""
        await self._producer.stop()

    async def _require_topics(self) -> None:
        await self._producer.require(TOPICS)

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        await commit_offsets(self._orders, WORK, offsets)
