"""The worker's life: connect, however long that takes, take orders, and leave in an order that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from chassis.background import Background, briefly
from chassis.retry import patiently
from chassis.settings import Settings
from messaging.errors import KafkaError
from provider_worker.adapters.kafka.transport import KafkaTransport
from provider_worker.adapters.postgres.storage import PostgresStorage
from provider_worker.assembly import Assembly
from provider_worker.dependencies import Storage
from provider_worker.errors import DatabaseUnavailable
from provider_worker.ports import Transport

GRACE_SECONDS = 4.0  # for running orders once a stop was asked for; the whole stop stays under 10 s
_CLOSE_SECONDS, _FORGET_SECONDS = 2.0, 3600.0

_log = structlog.get_logger(__name__)


def create_service(settings: Settings, background: Background) -> WorkerService:
    """Make the service on PostgreSQL and Kafka. Nothing connects before `start`."""
    storage = PostgresStorage(settings.database_url.get_secret_value())
    return WorkerService(settings, storage, KafkaTransport(settings, background), background)


class WorkerService:
    """One worker process on its storage and transport. Raises SettingsError for settings that make no sense."""

    def __init__(self, settings: Settings, storage: Storage, transport: Transport, background: Background) -> None:
        self.storage = storage
        self.transport = transport
        self._background = background
        self._core = Assembly(settings, storage, transport, background.fail)

    async def start(self) -> None:
        """Connect and begin to take orders. Waits while PostgreSQL or Kafka is unavailable."""
        await patiently("PostgreSQL", self.storage.open, DatabaseUnavailable)
        await self.transport.start()
        self._background.start(self._core.catalog.announce_forever(), "catalog")
        self._background.start(self._forget_now_and_then(), "retention")
        await self.transport.receive(self._core.consumer.on_records, self._core.stop_listener.on_records)
        _log.info("taking orders", providers=self._core.registry.names)

    async def check_storage(self) -> None:
        """Raise unless the database takes writes, and those of claims among them."""
        await self.storage.check()
        await self._core.claimer.obstacle.check()

    async def stop(self) -> None:
        """Take nothing more, let running orders end, commit what was taken, disconnect."""
        await self._core.consumer.stop(GRACE_SECONDS)
        await briefly(self.transport.settle(), _CLOSE_SECONDS, KafkaError)
        await briefly(self.transport.stop_receiving(), _CLOSE_SECONDS, KafkaError)
        await briefly(self._core.stop_listener.settle(), _CLOSE_SECONDS, KafkaError)
        await self._background.stop()
        await briefly(self.transport.close(), _CLOSE_SECONDS, KafkaError)
        await briefly(self._core.registry.close(), _CLOSE_SECONDS, KafkaError)
        await briefly(self._core.checks.close(), _CLOSE_SECONDS, KafkaError)
        self.storage.close()

    async def _forget_now_and_then(self) -> None:
        while True:
            with contextlib.suppress(DatabaseUnavailable):
                await self.storage.forget_old()
            await asyncio.sleep(_FORGET_SECONDS)
