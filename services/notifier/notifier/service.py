"""The notifier's parts, wired: adapters to feeds to the hub. Its start, its stop, its health."""

from __future__ import annotations

import structlog

from chassis.background import Background
from chassis.settings import Settings
from messaging.consumer import fail_fast
from notifier.adapters.external import external_adapters
from notifier.edges.authentication import SocketAuthentication
from notifier.feed.events import EventFeed
from notifier.feed.partial_output import PartialOutputFeed
from notifier.hub.client import HubBounds
from notifier.hub.hub import Hub
from notifier.hub.run_states import RunStates
from notifier.ports import Adapters

_log = structlog.get_logger(__name__)


class NotifierService:
    """One notifier. `background` ends the process when a batch of records cannot be handled."""

    def __init__(
        self, settings: Settings, adapters: Adapters | None, background: Background, bounds: HubBounds | None = None
    ) -> None:
        self.gateway, self._log, self.now, self._identity = adapters or external_adapters(settings)
        self.authentication = SocketAuthentication(None if self._identity is None else self._identity.resolver)
        self.ask = self._log.ask
        self.check_log = self._log.check
        self.hub = Hub(0, bounds)
        run_states = RunStates()
        self.feed = EventFeed(self.hub, run_states, self.gateway, self.now, authentication=self._identity is not None)
        self._background = background
        self._on_events = fail_fast(self.feed.on_records, background)
        self._on_partial_output = fail_fast(PartialOutputFeed(self.hub, run_states).on_records, background)

    async def run(self) -> None:
        """Connect and begin to read; return once clients can be served."""
        if self._identity is not None:
            await self._identity.open()
            self._background.start(self.authentication.credentials.watch(), "credentials of open sockets")
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
        if self._identity is not None:
            self._identity.close()
