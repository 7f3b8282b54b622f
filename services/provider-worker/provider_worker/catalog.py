"""Announcing what the providers offer on `provider.catalog`, from where the gateway knows them."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from contracts.kafka import KafkaError, Outgoing
from contracts.topics import CATALOG
from provider_worker.failures import log_bug
from provider_worker.ports import Post
from provider_worker.providers.registry import Registry
from provider_worker.sanitizing import Sanitizer

EVERY_SECONDS = 60.0

_log = structlog.get_logger(__name__)


async def announce_for_ever(registry: Registry, post: Post, sanitizer: Sanitizer) -> None:
    """Announce at once, and again every minute: what a provider says of its limits changes."""
    while True:
        with contextlib.suppress(KafkaError):  # the gateway keeps what was said last
            await announce(registry, post, sanitizer)
        await asyncio.sleep(EVERY_SECONDS)


async def announce(registry: Registry, post: Post, sanitizer: Sanitizer) -> None:
    """Announce every provider, keyed by its name; one that cannot tell is logged and left out."""
    for provider in registry:
        try:
            capabilities = await provider.get_capabilities()
        except Exception as error:
            log_bug(error, provider.name, sanitizer)
            continue
        body = capabilities.model_dump_json().encode()
        await post.send(Outgoing(CATALOG.name, provider.name.encode(), body))
