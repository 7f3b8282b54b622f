"""The worker's life: connect, however long that takes, take orders, and leave in an order that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping, Sequence
from uuid import uuid4

import structlog

from chassis.background import Background
from chassis.failpoints import load_failpoints
from chassis.retry import patiently
from chassis.settings import Settings
from contracts.topics import CATALOG, COMMANDS, PARTIALS, STOPS, WORK
from messaging.consumer import (
    commit_offsets,
    create_broker,
    end_offsets,
    fail_fast,
    subscribe_broadcast,
    subscribe_group,
)
from messaging.errors import KafkaError
from messaging.offset_committer import OffsetCommitter
from messaging.producer import Producer
from messaging.records import RawRecord
from provider_worker.adapters.postgres.artifacts import PostgresArtifacts
from provider_worker.adapters.postgres.budgets import PostgresBudgets
from provider_worker.adapters.postgres.claims import PostgresClaims
from provider_worker.adapters.postgres.pool import Pool, check, create_pool, ensure_schema
from provider_worker.adapters.postgres.reservations import PostgresReservations
from provider_worker.catalog import announce_for_ever
from provider_worker.checks.check_runner import CheckRunner
from provider_worker.execution.stop_listener import StopListener
from provider_worker.orders.consumer import OrderConsumer
from provider_worker.orders.order_handler import Dependencies
from provider_worker.outbox import Outbox
from provider_worker.ports import StorageUnavailable
from provider_worker.preparation.router import refuse_unknown
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.admission import Admission
from provider_worker.rate_limits.circuit_breaker import CircuitTerms
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.rate_limits.rules import rules_of
from provider_worker.sanitizer import Sanitizer

GROUP = "provider-worker"
GRACE_SECONDS = 4.0
"""What running orders get to end by themselves once a stop was asked for; with the rest of the stop it stays under 10 s."""

_CLOSE_SECONDS = 2.0
_CLEAN_SECONDS = 3600.0

_log = structlog.get_logger(__name__)


class Running:
    """One worker process's connections and loops."""

    def __init__(self, settings: Settings, registry: Registry, checks: CheckRunner, background: Background) -> None:
        self._settings = settings
        self._registry = registry
        self._checks = checks
        self._background = background
        self._failpoints = load_failpoints()
        self._sanitizer = Sanitizer([*registry.secrets, *checks.secrets, *_secrets_of(settings)])
        self._producer = Producer(settings.kafka_bootstrap_servers, "provider-worker")
        self._outbox = Outbox(self._producer)
        self._broker = create_broker(
            settings.kafka_bootstrap_servers, "provider-worker", writes=[CATALOG, COMMANDS, PARTIALS]
        )
        self._subscriber = subscribe_group(
            self._broker,
            WORK,
            fail_fast(self._on_records, background),
            group=GROUP,
            fetch_wait_ms=settings.fetch_wait_ms,
        )
        subscribe_broadcast(
            self._broker,
            STOPS,
            fail_fast(self._on_stops, background),
            fetch_wait_ms=settings.fetch_wait_ms,
            from_beginning=True,
        )
        self._rules = rules_of(settings.limits, registry)
        refuse_unknown(settings.routes, registry)
        self._circuits = CircuitBreakers(CircuitTerms(settings.circuit_failures, settings.circuit_seconds))
        self._confirming = Confirming(self._commit)
        self._pool: Pool | None = None
        self._worker: OrderConsumer | None = None
        self._stopping: StopListener | None = None

    async def start(self) -> None:
        """Connect and begin to take orders. Waits while PostgreSQL or Kafka is away."""
        self._pool = pool = await create_pool(self._settings.database_url.get_secret_value())
        await patiently("PostgreSQL", lambda: ensure_schema(pool), StorageUnavailable)
        await patiently("Kafka", self._producer.start, KafkaError)
        claims, spending = PostgresClaims(pool), PostgresBudgets(pool)
        self._checks.open(spending)
        dependencies = Dependencies(
            self._registry,
            claims,
            PostgresArtifacts(pool),
            self._outbox,
            self._sanitizer,
            self._checks,
            Admission(self._rules, PostgresReservations(pool), self._circuits, uuid4().hex, self._background.fail),
            self._settings.routes,
            self._failpoints,
        )
        self._worker = OrderConsumer(
            dependencies,
            confirm=self._confirming.hand,
            on_broken=self._background.fail,
            most=self._settings.worker_concurrency,
        )
        self._stopping = StopListener(self._registry, self._worker.handler.calls, self._background.fail)
        self._background.start(self._confirming.follow(), "offsets")
        self._background.start(self._confirming.commit_now_and_then(), "commits")
        routes = self._worker.handler.preparer.router.capabilities()
        catalog = announce_for_ever(self._registry, self._outbox, self._sanitizer, self._circuits, routes)
        self._background.start(catalog, "catalog")
        self._background.start(_forget_now_and_then(claims, spending), "old claims")
        await self._broker.start()
        _log.info("taking orders", providers=self._registry.names, at_once=self._settings.worker_concurrency)

    async def stop(self) -> None:
        """Take nothing more, let what runs end, commit what was taken, disconnect."""
        if self._worker is not None:
            await self._worker.stop(GRACE_SECONDS)
            await _briefly(self._confirming.settle())
        await _briefly(self._broker.stop())
        if self._stopping is not None:
            await _briefly(self._stopping.settle())
        await self._background.stop()
        await _briefly(self._producer.stop())
        await _briefly(self._registry.close())
        await _briefly(self._checks.close())
        if self._pool is not None:
            self._pool.terminate()

    async def check_kafka(self) -> None:
        """Raise unless this process reads the orders' log."""
        if self._subscriber.consumer is None:
            raise ConnectionError("connecting")
        await end_offsets(self._subscriber, WORK, [0])

    async def check_database(self) -> None:
        """Raise unless PostgreSQL answers."""
        if self._pool is None:
            raise ConnectionError("connecting")
        await check(self._pool)

    async def _on_records(self, records: Sequence[RawRecord]) -> None:
        assert self._worker is not None, "the broker starts last"
        await self._worker.on_records(records)

    async def _on_stops(self, records: Sequence[RawRecord]) -> None:
        assert self._stopping is not None, "the broker starts last"
        await self._stopping.on_records(records)

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        await commit_offsets(self._subscriber, WORK, offsets)


async def _briefly(ending: Awaitable[None]) -> None:
    """Await a step of the stop; what hangs because its other side is away must not hold up the rest."""
    with contextlib.suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await ending


async def _forget_now_and_then(claims: PostgresClaims, spending: PostgresBudgets) -> None:
    while True:
        with contextlib.suppress(StorageUnavailable):
            await claims.forget_old()
            await spending.forget_old()
        await asyncio.sleep(_CLEAN_SECONDS)


def _secrets_of(settings: Settings) -> list[str]:
    keys = (settings.openai_api_key, settings.anthropic_api_key, settings.replicate_api_token, settings.hf_token)
    return [key.get_secret_value() for key in (*keys, settings.database_url) if key is not None]
