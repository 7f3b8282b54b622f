"""Announces the providers' capabilities on `provider.catalog`, from which the gateway knows them."""

from __future__ import annotations

import asyncio
import contextlib

from contracts.providers.capabilities import Capabilities
from contracts.topics import ALL_PROVIDERS, CATALOG
from messaging.errors import KafkaError
from messaging.records import Outgoing
from provider_worker.messages.failures import log_bug
from provider_worker.ports import Publisher
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.sanitizer import Sanitizer

EVERY_SECONDS = 60.0


class Catalog:
    """Every provider's capabilities, and the routes, announced like a provider's."""

    def __init__(
        self,
        registry: Registry,
        publisher: Publisher,
        sanitizer: Sanitizer,
        circuits: CircuitBreakers,
        routes: Capabilities | None = None,
    ) -> None:
        self._registry = registry
        self._publisher = publisher
        self._sanitizer = sanitizer
        self._circuits = circuits
        self._routes = routes

    async def announce_forever(self) -> None:
        """Announce now, whenever a circuit changes, and every minute: rate limits that providers report change."""
        while True:
            with contextlib.suppress(KafkaError):  # the gateway keeps the latest announcement
                await self.announce()
            await self._circuits.until_changed(EVERY_SECONDS)

    async def announce(self) -> None:
        """Announce every provider, keyed by its name; one that fails is logged and left out.

        Each announcement names all of them: a reader of some knows that there are more.
        """
        offers = [] if self._routes is None else [self._routes]
        for provider in self._registry:
            try:
                offered = await provider.get_capabilities()
                offers.append(offered.changed({"circuit": self._circuits.state_of(provider.name)}))
            except Exception as error:
                log_bug(error, provider.name, self._sanitizer)
        names = ",".join(offer.provider for offer in offers).encode()
        await asyncio.gather(*(self._publisher.send(_announcement(offer, names)) for offer in offers))


def _announcement(offer: Capabilities, names: bytes) -> Outgoing:
    headers = [(ALL_PROVIDERS, names), ("content-type", b"application/json")]
    return Outgoing(CATALOG.name, offer.provider.encode(), offer.model_dump_json().encode(), headers)
