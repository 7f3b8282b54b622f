"""The notifier's parts, wired: adapters to feeds to the hub. Its start, its stop, its health."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from chassis.background import Background
from chassis.failpoints import load_failpoints
from chassis.settings import Settings
from messaging.consumer import fail_fast
from notifier.adapters.gateway import HttpGateway
from notifier.adapters.kafka import KafkaLog
from notifier.feed.events import EventFeed
from notifier.feed.partial_output import PartialOutputFeed
from notifier.hub.client import HubBounds
from notifier.hub.hub import Hub
from notifier.hub.run_states import RunStates
from notifier.ports import EventLog, Gateway, Now

_log = structlog.get_logger(__name__)


class Adapters(NamedTuple):
    """The ports that a notifier stands on."""

    gateway: Gateway
    log: EventLog
    now: Now


def real_adapters(settings: Settings) -> Adapters:
    """Return the adapters of a deployed notifier. Nothing connects yet."""
    return Adapters(HttpGateway(settings.gateway), KafkaLog(settings), load_failpoints().now)


class NotifierService:
    """One notifier. `background` ends the process when a batch of records cannot be handled."""

    def __init__(self, adapters: Adapters, background: Background, bounds: HubBounds | None = None) -> None:
        self.gateway, self._log, self.now = adapters
        self.ask = self._log.ask
        self.check_log = self._log.check
        self.hub = Hub(0, bounds)
        self.feed = EventFeed(self.hub, RunStates(), self.gateway, self.now)
        self._on_events = fail_fast(self.feed.on_records, background)
        self._on_partial_output = fail_fast(PartialOutputFeed(self.hub).on_records, background)

    async def run(self) -> None:
        """Connect and begin to read; return once clients can be served."""
        self.hub.log_id = await self._log.connect()
        self.feed.start(await self._log.read(self._on_events, self._on_partial_output))
        await self.feed.caught_up.wait()
        _log.info("serving clients", log=self.hub.log_id)

    async def check_feed(self) -> None:
        """Return if the feed has read the records that were there at its start."""
        if not self.feed.caught_up.is_set():
            raise ConnectionError(f"reading earlier records: {self.hub.positions}")

    async def close(self) -> None:
        """Disconnect."""
        await self._log.close()
        await self.gateway.close()
