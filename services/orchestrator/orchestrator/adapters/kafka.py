"""The `Log` port on Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chassis.background import Background
from chassis.settings import Settings
from contracts.slots import SlotMap
from contracts.topics import OUTCOMES, RUN_TOPICS, Topic
from messaging.admin import fit_topics, log_identity
from messaging.consumer import (
    DeferredHandler,
    check_group,
    commit_offsets,
    create_broker,
    end_offsets,
    fail_fast,
    subscribe_group,
)
from messaging.errors import TopicsUnfit
from messaging.producer import Producer
from messaging.records import Outgoing
from orchestrator.aggregate import Aggregate, topics_of
from orchestrator.ports import OnRecords, OnRevoked, SlotsDiffer, Subscription, WrongLog

GIVE_UP_SECONDS = 300.0
"""How long Kafka may be unavailable before the process ends and starts again from the last committed offset."""


class KafkaLog:
    """Kafka: one producer, one consumer group. A batch that cannot be handled ends the process."""

    def __init__(self, settings: Settings, background: Background, aggregates: Sequence[Aggregate[Any, Any]]) -> None:
        self._bootstrap = settings.kafka_bootstrap_servers
        self._log_id = settings.log_id
        steady, writes = settings.kafka_steady_path, [*topics_of(aggregates), OUTCOMES]
        self._broker = create_broker(self._bootstrap, "orchestrator", writes, steady_path=steady)
        self._subscriptions = {
            of.commands: _Subscription(self._broker, of, settings.fetch_wait_ms, background) for of in aggregates
        }
        self._producer = Producer(self._bootstrap, "orchestrator", GIVE_UP_SECONDS, steady_path=steady)
        self._topics = [*topics_of(aggregates), *RUN_TOPICS]
        self._dead = [of.commands.dead for of in aggregates]

    async def connect(self) -> str:
        """Connect for sending; return the log's id. Raises KafkaError, and WrongLog where a topic cannot hold what is written."""
        await self._producer.start()
        await self.check()
        try:
            await fit_topics(self._bootstrap, self._topics)
        except TopicsUnfit as error:
            raise WrongLog(str(error)) from error
        return self._log_id or await log_identity(self._bootstrap)

    def subscribe(self, topic: Topic, on_records: OnRecords, on_revoked: OnRevoked) -> Subscription:
        """Share the topic of an aggregate's commands within the group, from the earliest record that is not committed."""
        subscription = self._subscriptions[topic]
        subscription.on_records.bind(on_records)
        subscription.on_revoked = on_revoked
        return subscription

    async def check(self) -> None:
        """Return if Kafka has all topics, and each group that reads has this member. Raises KafkaError, BrokerUnavailable."""
        await self._producer.require([*(topic.name for topic in self._topics), *self._dead])
        for subscription in self._subscriptions.values():
            subscription.check()

    async def partitions(self, topic: Topic) -> Sequence[int]:
        """Return the topic's partitions. Raises KafkaError."""
        return await self._producer.partitions(topic.name)

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Take records, those of one partition in order."""
        return await self._producer.send_all(records)

    async def slot_maps(self, topics: Iterable[Topic]) -> list[SlotMap]:
        """Return each topic's map: as it is kept with the log, or a new one. Raises KafkaError."""
        kept = await self._producer.read_slot_maps()
        return [kept.get(topic.name) or SlotMap.dealt(topic.name, await self.partitions(topic)) for topic in topics]

    async def keep_slots(self, maps: Iterable[SlotMap]) -> None:
        """Keep maps with the log. Raises SlotsDiffer, KafkaError."""
        kept = await self._producer.read_slot_maps()
        for wanted in maps:
            missing = set(wanted.slots) - set(await self._producer.partitions(wanted.topic))
            if missing or kept.get(wanted.topic, wanted) != wanted:
                what = f"names partitions {sorted(missing)} that are not there" if missing else "is another in the log"
                raise SlotsDiffer(f"the map of slots of {wanted.topic} that the ledger keeps {what}")
            if wanted.topic not in kept:
                await self._producer.keep_slots(wanted)

    async def start(self) -> None:
        """Read. Raises KafkaError."""
        await self._broker.start()

    async def stop_reading(self) -> None:
        """Leave the group."""
        await self._broker.stop()

    async def close(self) -> None:
        """Send what was handed over, and disconnect."""
        await self._producer.stop()


class _Subscription:
    # Declared on the broker with the wiring, so that FastStream's own document names it; handled from `subscribe` on.
    on_revoked: OnRevoked

    def __init__(self, broker: Any, of: Aggregate[Any, Any], fetch_wait_ms: int, background: Background) -> None:
        self.on_records = DeferredHandler()
        self._topic = of.commands
        self._subscriber = subscribe_group(
            broker,
            of.commands,
            fail_fast(self.on_records, background),
            group=of.group,
            fetch_wait_ms=fetch_wait_ms,
            on_revoked=self._revoke,
        )

    async def _revoke(self, partitions: set[int]) -> None:
        await self.on_revoked(partitions)

    def check(self) -> None:
        check_group(self._subscriber)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        await commit_offsets(self._subscriber, self._topic, offsets)

    async def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        return await end_offsets(self._subscriber, self._topic, list(partitions))
