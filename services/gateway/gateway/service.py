"""The gateway at work: connects, keeps the read model, and lets go of everything in order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import structlog

from artifacts.store import ArtifactStore
from chassis.background import Background
from chassis.retry import patiently
from chassis.settings import Settings
from contracts.topics import CATALOG, COMMANDS, EVENTS, PARTIALS
from gateway.adapters.postgres.pool import Database
from gateway.adapters.postgres.reader import PostgresViews
from gateway.adapters.postgres.writer import PostgresTables, ensure_schema
from gateway.catalog import Catalog
from gateway.commands.bus import Outcomes
from gateway.read_model.follower import Following
from gateway.read_model.partial_output import Partials
from gateway.read_model.projector import Projector
from gateway.read_model.waiters import Arrivals
from messaging.consumer import commit_offsets, create_broker, end_offsets, subscribe_broadcast, subscribe_group
from messaging.errors import KafkaError
from messaging.offset_committer import OffsetCommitter
from messaging.producer import Producer
from messaging.request_reply import RequestReply

GROUP = "gateway-views"
LEAVE_SECONDS = 3.0

_log = structlog.get_logger(__name__)


class Running:
    """One gateway, from its first connection to its last commit."""

    def __init__(self, settings: Settings, background: Background) -> None:
        bootstrap, url = settings.kafka_bootstrap_servers, settings.database_url.get_secret_value()
        self._settings = settings
        self._background = background
        self._broker = create_broker(bootstrap, "gateway", writes=[COMMANDS])
        self._projecting = create_broker(bootstrap, "gateway")
        self._producer = Producer(bootstrap, "gateway")
        self._tables = PostgresTables(url)
        self.database = Database(url)
        self.views = PostgresViews(self.database)
        self.catalog = Catalog(self._producer.send_all)
        self._arrivals = Arrivals()
        self._partials = Partials(self._arrivals)
        self.following = Following(self.views, self._arrivals)
        self._desk = RequestReply(self._broker, self._producer, settings.fetch_wait_ms)
        self.outcomes = Outcomes(self._desk, self.database, self._arrivals.recent, settings.outcome_wait_seconds)
        self._confirming = OffsetCommitter(self._commit)
        self._projector = Projector(
            self._tables, self._arrivals, self._producer.send_all, self._confirming, background.fail
        )
        self._events = subscribe_group(
            self._projecting, EVENTS, self._projector.on_records, group=GROUP, fetch_wait_ms=settings.fetch_wait_ms
        )
        self._announcements = subscribe_broadcast(
            self._broker,
            CATALOG,
            self.catalog.on_records,
            fetch_wait_ms=settings.fetch_wait_ms,
            from_beginning=True,
        )
        subscribe_broadcast(self._broker, PARTIALS, self._partials.on_records, fetch_wait_ms=settings.fetch_wait_ms)
        self.database.prepare += [lambda: ensure_schema(url), self._ensure_artifacts]

    async def start(self) -> None:
        """Begin; return without waiting for anybody. What is asked before all is connected is answered with 503."""
        await self.database.start()
        self._background.start(self.database.watch(), "watching PostgreSQL")
        self._background.start(self._connect(), "connecting to Kafka")

    def end_streams(self) -> None:
        """Let open streams and waits end: the process is about to stop."""
        self.following.close()

    async def stop(self) -> None:
        """Take nothing more, commit how far the read model has come, and disconnect."""
        self.following.close()
        self._projector.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._confirming.settle()
                await self._projecting.stop()
                await self._broker.stop()
                await self._producer.stop()
        await self._tables.close()
        await self.database.stop()

    async def check_kafka(self) -> None:
        """Raise unless Kafka answers and outcomes are heard."""
        if not self.outcomes.listening:
            raise ConnectionError("not connected yet")
        await end_offsets(self._announcements, CATALOG, [0])

    async def _connect(self) -> None:
        await patiently("Kafka", self._producer.start, KafkaError)
        await patiently("Kafka", self._broker.start, KafkaError)
        await self._desk.ready()
        self._background.start(self._confirming.track(), "confirming")
        self._background.start(self._confirming.commit_periodically(), "committing")
        self.outcomes.listening = True
        _log.info("taking requests")
        # Who joins a group waits until a member that died is taken for gone. Requests need not wait for that.
        await patiently("Kafka", self._projecting.start, KafkaError)

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        await commit_offsets(self._events, EVENTS, offsets)

    async def _ensure_artifacts(self) -> None:
        await ArtifactStore(self.database.pool).ensure_schema()
