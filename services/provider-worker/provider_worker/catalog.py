"""Announcing what the providers offer on `provider.catalog`, from where the gateway knows them."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from contracts.providers.capabilities import Capabilities
from contracts.topics import ALL_PROVIDERS, CATALOG
from messaging.errors import KafkaError
from messaging.records import Outgoing
from provider_worker.execution.failures import log_bug
from provider_worker.ports import Publisher
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.sanitizer import Sanitizer

EVERY_SECONDS = 60.0

_log = structlog.get_logger(__name__)


async def announce_for_ever(
    registry: Registry,
    publisher: Publisher,
    sanitizer: Sanitizer,
    circuits: CircuitBreakers,
    routes: Capabilities | None = None,
) -> None:
    """Announce at once, when a circuit changes, and again every minute: what a provider says of its limits changes."""
    while True:
        with contextlib.suppress(KafkaError):  # the gateway keeps what was said last
            await announce(registry, publisher, sanitizer, circuits, routes)
        await circuits.until_changed(EVERY_SECONDS)


async def announce(
    registry: Registry,
    publisher: Publisher,
    sanitizer: Sanitizer,
    circuits: CircuitBreakers,
    routes: Capabilities | None = None,
) -> None:
    """Announce every provider, keyed by its name; one that cannot tell is logged and left out.

    Each announcement names all of them, so that who has read a part knows that there is more.
    """
    offers = [] if routes is None else [routes]
    for provider in registry:
        try:
            offered = await provider.get_capabilities()
            offers.append(offered.changed({"circuit": circuits.state_of(provider.name)}))
        except Exception as error:
            log_bug(error, provider.name, sanitizer)
    names = ",".join(offer.provider for offer in offers).encode()
    await asyncio.gather(*(publisher.send(_announcement(offer, names)) for offer in offers))


def _announcement(offer: Capabilities, names: bytes) -> Outgoing:
    headers = [(ALL_PROVIDERS, names), ("content-type", b"application/json")]
    return Outgoing(CATALOG.name, offer.provider.encode(), offer.model_dump_json().encode(), headers)
