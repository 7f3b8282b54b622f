"""The gateway at work: wires the read model, the catalog and the command bus to the adapters, and runs them from start to stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from chassis.background import Background
from chassis.settings import Settings
from gateway.adapters.external import external_adapters
from gateway.catalog import Catalog
from gateway.commands.bus import CommandBus
from gateway.identity.first_key import FirstKey
from gateway.ports import Adapters, Readers
from gateway.read_model.follower import Follower
from gateway.read_model.partial_output import PartialOutputReader
from gateway.read_model.projector import Projector
from gateway.read_model.waiters import Waiters
from identity.settings import create_resolver
from identity.watch import CredentialWatch

_log = structlog.get_logger(__name__)


class GatewayService:
    """One gateway, from its first connection to its last commit."""

    def __init__(self, settings: Settings, adapters: Adapters | None) -> None:
        waiters = Waiters()
        self.background = Background()
        self.adapters = adapters or external_adapters(settings)
        broker, now = self.adapters.broker, self.adapters.now
        self.credentials = CredentialWatch(create_resolver(settings, self.adapters.kept(), now))
        self._first_key = FirstKey(self.adapters, settings)
        self.catalog = Catalog(broker.send_all)
        self.follower = Follower(self.adapters.views, waiters)
        self.bus = CommandBus(broker, self.adapters.database, waiters.answers, settings.outcome_wait_seconds)
        self._projector = Projector(
            self.adapters.tables, waiters, broker.send_all, broker.committer, self.background.fail, now
        )
        partial_output = PartialOutputReader(waiters)
        self._readers = Readers(self._projector.on_records, self.catalog.on_records, partial_output.on_records)
        self.background.on_stop(self.follower.close)

    async def check_database(self) -> None:
        """Raise unless PostgreSQL takes writes, those of the projection among them, and there is a key where one is needed."""
        await self.adapters.database.check()
        await self._first_key.check()
        await self._projector.obstacle.check()

    @asynccontextmanager
    async def running(self, _: object) -> AsyncIterator[None]:
        """Start without waiting for PostgreSQL or Kafka: until they answer, requests get 503. Stop in order at the end."""
        await self.adapters.database.start()
        self.background.start(self.adapters.database.watch(), "watching PostgreSQL")
        self.background.start(self._connect(), "connecting to Kafka")
        self.background.start(self._first_key.keep(), "the first key")
        self.background.start(self.credentials.watch(), "credentials of open streams")
        try:
            yield
        finally:
            # Read nothing more, commit the offsets of what is written, and disconnect, also from what is only being connected.
            self.follower.close()
            self._projector.close()
            await self.adapters.broker.settle()
            await self.background.stop()
            await self.adapters.broker.stop()
            await self.adapters.tables.close()
            await self.adapters.database.stop()

    async def _connect(self) -> None:
        broker = self.adapters.broker
        await broker.connect(self._readers)
        self.background.start(broker.committer.track(), "confirming")
        self.background.start(broker.committer.commit_periodically(), "committing")
        _log.info("taking requests")
        await broker.join()
