"""The notifier at work: connects, reads the log from where it must, and answers whether it is well."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from chassis.background import Background
from chassis.retry import patiently
from chassis.settings import Settings
from contracts.runs.commands import Decide
from contracts.runs.outcomes import Outcome
from contracts.topics import EVENTS, PARTIALS
from messaging.admin import log_identity
from messaging.consumer import Stretch, create_broker, end_offsets, guarded, skip_to_last, subscribe_partitions
from messaging.errors import KafkaError
from messaging.producer import Producer
from messaging.request_reply import Desk
from notifier.feed.events import Feed
from notifier.feed.partial_output import Partials
from notifier.hub.hub import Hub

BACK = 5_000
"""Records of each partition that a fresh instance reads again, to serve cursors that another instance gave."""

LEAVE_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Running:
    """One notifier on Kafka, from its first connection to its last."""

    def __init__(self, settings: Settings, hub: Hub, feed: Feed, background: Background) -> None:
        self._settings = settings
        self._hub = hub
        self._feed = feed
        self._background = background
        bootstrap, fetch_wait_ms = settings.kafka_bootstrap_servers, settings.fetch_wait_ms
        self._broker = create_broker(bootstrap, "notifier")
        self._producer = Producer(bootstrap, "notifier")
        self._desk = Desk(self._broker, self._producer, fetch_wait_ms)
        self._partitions = range(EVENTS.partitions)
        self._subscriber = subscribe_partitions(
            self._broker,
            EVENTS,
            self._partitions,
            guarded(feed.on_records, background),
            fetch_wait_ms=fetch_wait_ms,
            from_beginning=True,
        )
        subscribe_partitions(
            self._broker,
            PARTIALS,
            range(PARTIALS.partitions),
            guarded(Partials(hub).on_records, background),
            fetch_wait_ms=fetch_wait_ms,
        )

    async def run(self) -> None:
        """Connect and begin to read; clients are served once the feed has caught up."""
        bootstrap = self._settings.kafka_bootstrap_servers
        await patiently("Kafka", self._producer.start, KafkaError)
        log_id = self._settings.log_id
        if log_id is None:
            log_id = await patiently("Kafka", lambda: log_identity(bootstrap), KafkaError)
        self._hub.log = log_id
        await patiently("Kafka", self._broker.start, KafkaError)
        await self._desk.listening()
        self._feed.begin(await patiently("Kafka", self._skip_to_last, KafkaError))
        await self._feed.caught_up.wait()
        _log.info("serving clients", log=self._hub.log)

    async def _skip_to_last(self) -> dict[int, Stretch]:
        return await skip_to_last(self._subscriber, EVENTS, self._partitions, BACK)

    async def stop(self) -> None:
        """Disconnect."""
        await self._broker.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._producer.stop()

    async def ask(self, command: Decide) -> Outcome | None:
        """Hand a command over and wait for its outcome; None when that is late. Raises Unavailable."""
        return await self._desk.ask(command, self._settings.outcome_wait_seconds)

    async def check_kafka(self) -> None:
        """Raise unless Kafka answers."""
        if self._subscriber.consumer is None:
            raise ConnectionError("starting")
        await end_offsets(self._subscriber, EVENTS, [0])

    async def check_feed(self) -> None:
        """Raise unless the feed has read what was there at its start."""
        if not self._feed.caught_up.is_set():
            raise ConnectionError(f"reading what was: {self._hub.positions}")
