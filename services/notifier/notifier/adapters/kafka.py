"""The log on Kafka: two subscriptions outside any group, and commands that are answered. Commits no offset."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from chassis.retry import patiently
from chassis.settings import Settings
from contracts.runs.commands import Decide
from contracts.runs.outcomes import Outcome
from contracts.topics import EVENTS, PARTIALS
from messaging.admin import log_identity
from messaging.consumer import create_broker, end_offsets, skip_to_last, subscribe_partitions
from messaging.errors import KafkaError
from messaging.producer import Producer
from messaging.request_reply import Desk, Unavailable
from notifier.errors import BrokerUnavailable
from notifier.ports import OnRecords

LAST_RECORDS = 5_000
"""Records of each partition that a new instance reads again, so that it can serve the cursors of other instances."""

CLOSE_SECONDS = 5.0


class KafkaLog:
    """The log on the Kafka that the settings name. Nothing connects before `connect`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._broker = create_broker(settings.kafka_bootstrap_servers, "notifier")
        self._producer = Producer(settings.kafka_bootstrap_servers, "notifier")
        self._desk = Desk(self._broker, self._producer, settings.fetch_wait_ms)
        self._newest_offset: Callable[[], Awaitable[object]] | None = None

    async def connect(self) -> str:
        """Connect, as often as it takes; return the identity of the log."""
        await patiently("Kafka", self._producer.start, KafkaError)
        if self._settings.log_id is not None:
            return self._settings.log_id
        return await patiently("Kafka", lambda: log_identity(self._settings.kafka_bootstrap_servers), KafkaError)

    async def read(self, on_events: OnRecords, on_partial_output: OnRecords) -> Mapping[int, range]:
        """Begin to hand over records; return the offsets of `run.events` to be read before clients are served, by partition."""
        wait, partitions = self._settings.fetch_wait_ms, range(EVENTS.partitions)
        events = subscribe_partitions(
            self._broker, EVENTS, partitions, on_events, fetch_wait_ms=wait, from_beginning=True
        )
        subscribe_partitions(self._broker, PARTIALS, range(PARTIALS.partitions), on_partial_output, fetch_wait_ms=wait)
        await patiently("Kafka", self._broker.start, KafkaError)
        self._newest_offset = lambda: end_offsets(events, EVENTS, [0])
        await self._desk.listening()
        last = await patiently("Kafka", lambda: skip_to_last(events, EVENTS, partitions, LAST_RECORDS), KafkaError)
        return {partition: range(stretch.begin, stretch.end) for partition, stretch in last.items()}

    async def ask(self, command: Decide) -> Outcome | None:
        """Send a command and return its outcome, or None when that is late. Raises BrokerUnavailable."""
        try:
            return await self._desk.ask(command, self._settings.outcome_wait_seconds)
        except Unavailable as error:
            raise BrokerUnavailable(str(error)) from error

    async def check(self) -> None:
        """Return if the log can be read."""
        if self._newest_offset is None:
            raise BrokerUnavailable("starting")
        await self._newest_offset()

    async def close(self) -> None:
        """Disconnect."""
        await self._broker.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._producer.stop()
