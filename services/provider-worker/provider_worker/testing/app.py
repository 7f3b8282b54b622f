"""The worker's application on memory: the same wiring as `provider_worker.app`, without PostgreSQL and Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.applications import Starlette

from chassis.background import Background
from chassis.settings import Settings
from provider_worker.app import create_app
from provider_worker.service import WorkerService
from provider_worker.testing.storage import MemoryStorage
from provider_worker.testing.transport import MemoryTransport


@dataclass
class MemoryWorker:
    """A worker's storage and transport, to be looked at while its application runs."""

    storage: MemoryStorage = field(default_factory=MemoryStorage)
    transport: MemoryTransport = field(default_factory=MemoryTransport)

    def app(self, settings: Settings) -> Starlette:
        """Return the application."""
        return create_app(settings, self._make)

    def _make(self, settings: Settings, background: Background) -> WorkerService:
        return WorkerService(settings, self.storage, self.transport, background)
