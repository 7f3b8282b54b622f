"""What the providers have announced on `provider.catalog`: names, tool names and capabilities. Asks nobody, stores nothing."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from contracts.providers.capabilities import Capabilities
from contracts.topics import ALL_PROVIDERS
from gateway import metrics
from gateway.ports import SendAll
from messaging.dead_letters import dead_letter
from messaging.records import RawRecord

_log = structlog.get_logger(__name__)


class NothingAnnounced(Exception):
    """No provider worker has announced itself yet."""


class StillAnnouncing(NothingAnnounced):
    """The providers are being announced just now; the one that is asked for may be among them."""


class Catalog:
    """The newest word of each provider. Every gateway reads all of it, from the beginning."""

    def __init__(self, send_all: SendAll) -> None:
        self._send_all = send_all
        self._providers: dict[str, Capabilities] = {}
        self._told_of: set[str] = set()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take in announcements; one without a value takes its provider back."""
        for record in records:
            self._told_of |= _told_of(record)
            try:
                self.announce((record.key or b"").decode(), record.value)
            except ValueError as error:
                metrics.DEAD.labels(record.topic).inc()
                _log.warning("not an announcement", key=record.key, reason=str(error)[:200])
                await self._send_all([dead_letter(record, error)])

    def announce(self, provider: str, value: bytes | None) -> None:
        """Take in one announcement. Raises ValueError when it says nothing."""
        if value is None:
            self._providers.pop(provider, None)
            self._told_of.discard(provider)
        else:
            capabilities = Capabilities.model_validate_json(value)
            self._providers[capabilities.provider] = capabilities

    def all(self) -> list[Capabilities]:
        """Return what is offered, by name."""
        return [self._providers[name] for name in sorted(self._providers)]

    def find(self, name: str) -> Capabilities | None:
        """Return the provider that a name or a tool name stands for; a provider's own name comes first."""
        if name in self._providers:
            return self._providers[name]
        return next((offer for offer in self.all() if name in offer.tool_names), None)

    def check_complete(self) -> None:
        """Raise StillAnnouncing while there are providers that were told of and have not announced themselves."""
        if not self._told_of <= self._providers.keys():
            raise StillAnnouncing(StillAnnouncing.__doc__)

    async def check(self) -> None:
        """Raise NothingAnnounced unless there is something to choose from."""
        if not self._providers:
            raise NothingAnnounced(NothingAnnounced.__doc__)


def _told_of(record: RawRecord) -> set[str]:
    said = b",".join(value for name, value in record.headers or () if name == ALL_PROVIDERS)
    return set(filter(None, said.decode(errors="replace").split(",")))
