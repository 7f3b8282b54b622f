"""The providers that workers have announced on `provider.catalog`. Asks no worker, stores nothing."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from contracts.providers.capabilities import Capabilities
from contracts.topics import ALL_PROVIDERS
from gateway import metrics
from gateway.errors import CatalogIncomplete, NoProviders
from gateway.ports import SendAll
from messaging.dead_letters import dead_letter
from messaging.records import RawRecord

_log = structlog.get_logger(__name__)


class Catalog:
    """The newest announcement of each provider. Every gateway reads the whole compacted topic."""

    def __init__(self, send_all: SendAll) -> None:
        self._send_all = send_all
        self._providers: dict[str, Capabilities] = {}
        self._expected: set[str] = set()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Read a batch of announcements; a record without a value withdraws its provider. A malformed one becomes a dead letter."""
        for record in records:
            self._expected |= _expected(record)
            try:
                self.announce((record.key or b"").decode(), record.value)
            except ValueError as error:
                metrics.DEAD.labels(record.topic).inc()
                _log.warning("not an announcement", key=record.key, reason=str(error)[:200])
                await self._send_all([dead_letter(record, error)])

    def announce(self, provider: str, value: bytes | None) -> None:
        """Take one announcement. Raises ValueError when it is malformed."""
        if value is None:
            self._providers.pop(provider, None)
            self._expected.discard(provider)
        else:
            capabilities = Capabilities.model_validate_json(value)
            self._providers[capabilities.provider] = capabilities

    def all(self) -> list[Capabilities]:
        """Return the announced providers, by name."""
        return [self._providers[name] for name in sorted(self._providers)]

    def find(self, name: str) -> Capabilities | None:
        """Return the provider of that name or with a tool of that name; a provider's own name comes first."""
        if name in self._providers:
            return self._providers[name]
        return next((offer for offer in self.all() if name in offer.tool_names), None)

    def check_complete(self) -> None:
        """Raise CatalogIncomplete while a provider that a worker listed has not been announced."""
        if not self._expected <= self._providers.keys():
            raise CatalogIncomplete(CatalogIncomplete.__doc__)

    async def check(self) -> None:
        """Raise NoProviders while no provider is announced."""
        if not self._providers:
            raise NoProviders(NoProviders.__doc__)


def _expected(record: RawRecord) -> set[str]:
    listed = b",".join(value for name, value in record.headers or () if name == ALL_PROVIDERS)
    return set(filter(None, listed.decode(errors="replace").split(",")))
