"""Making the read model again: `python -m gateway rebuild-views`. Gateways may go on running meanwhile.

Every event that the topic still holds is kept, beside those kept before; then all are folded anew, in one transaction.
The group's offsets stay where they are: what is behind them is kept already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import structlog

from chassis.logs import configure_logs
from chassis.settings import Settings, SettingsError, exit_with, load_settings
from contracts.kafka import Producer, RawRecord, create_broker, end_offsets, subscribe_partitions
from contracts.topics import EVENTS
from gateway.adapters.tables import PostgresTables, ensure_schema
from gateway.projection import Recorded, project_batch

_log = structlog.get_logger(__name__)


async def rebuild(settings: Settings) -> int:
    """Keep what the topic holds, fold all events that are kept; return their number."""
    url = settings.database_url.get_secret_value()
    await ensure_schema(url)
    tables = PostgresTables(url)
    try:
        await _keep_topic(settings, tables)
        return await tables.remake(project_batch)
    finally:
        await tables.close()


async def _keep_topic(settings: Settings, tables: PostgresTables) -> None:
    """Read `run.events` from its beginning to where it ends now."""
    bootstrap = settings.kafka_bootstrap_servers
    producer, broker, reader = Producer(bootstrap, "rebuild"), create_broker(bootstrap, "rebuild"), _Reader(tables)
    await producer.start()
    try:
        partitions = await producer.partitions(EVENTS.name)
        subscriber = subscribe_partitions(
            broker, EVENTS, partitions, reader.on_records, fetch_wait_ms=settings.fetch_wait_ms, from_beginning=True
        )
        await broker.start()
        assert subscriber.consumer is not None, "the broker has started"
        begins = await subscriber.consumer.beginning_offsets(subscriber.consumer.assignment())
        ends = await end_offsets(subscriber, EVENTS, partitions)
        # Old records may be gone up to the end; of such a partition nothing will come.
        await reader.reach(
            {place.partition: ends[place.partition] for place, at in begins.items() if at < ends[place.partition]}
        )
    finally:
        await broker.stop()
        await producer.stop()


class _Reader:
    """Keeps the events of every record it gets. A malformed one was answered with a dead letter when it first came."""

    def __init__(self, tables: PostgresTables) -> None:
        self._tables = tables
        self._next: dict[int, int] = {}
        self._came = asyncio.Event()
        self._error: Exception | None = None

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Keep a batch."""
        try:
            if self._error is None:
                await self._tables.keep(_events(records))
                self._next |= {record.partition: record.offset + 1 for record in records}
        except Exception as error:  # whoever waits for the end gets it
            self._error = error
        self._came.set()

    async def reach(self, ends: Mapping[int, int]) -> None:
        """Return when each partition is read to its end. Raises what keeping an event raised."""
        while any(self._next.get(partition, 0) < end for partition, end in ends.items()):
            await self._came.wait()
            self._came.clear()
            if self._error is not None:
                raise self._error


def _events(records: Sequence[RawRecord]) -> list[Recorded]:
    events: list[Recorded] = []
    for record in records:
        with suppress(ValueError):
            events.append(Recorded.parse(record.value))
    return events


def main() -> None:
    """Make the read model again, and say how many events it was made of."""
    try:
        settings = load_settings()
    except SettingsError as error:
        exit_with(error)
    configure_logs("gateway", settings.log_level, settings.log_format)
    _log.info("the read model is made again", events=asyncio.run(rebuild(settings)))
