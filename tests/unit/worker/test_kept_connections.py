"""Connections to vendors that are kept: ours end before the server's do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from provider_worker.checks.moderation import ModerationCheck, ModerationOptions
from provider_worker.providers.anthropic.client import AnthropicClient
from provider_worker.providers.http.bounds import KEPT_SECONDS, DownloadTerms
from provider_worker.providers.huggingface.client import HuggingFaceClient
from provider_worker.providers.huggingface.payloads import Addresses
from provider_worker.providers.openai.client import OpenAIClient
from provider_worker.providers.replicate.client import ReplicateClient

MADE: dict[str, Callable[[], Any]] = {
    "anthropic": lambda: AnthropicClient("key", None),
    "huggingface": lambda: HuggingFaceClient("key", Addresses.under(None)),
    "moderation": lambda: ModerationCheck(SecretStr("key"), ModerationOptions()),
    "openai": lambda: OpenAIClient("key", None),
    "replicate": lambda: ReplicateClient("key", None, 10, DownloadTerms()),
}


@pytest.mark.parametrize("name", MADE)
async def test_a_kept_connection_ends_before_a_servers_five_seconds(name: str) -> None:
    """A call on a connection that the server is closing may have happened, or not: a person would have to decide."""
    pools = list(_pools(MADE[name](), set()))
    assert pools
    assert {pool._keepalive_expiry for pool in pools} == {KEPT_SECONDS}
    await asyncio.gather(*(pool.aclose() for pool in pools))


def _pools(thing: Any, seen: set[int]) -> list[Any]:
    """Find the connection pools under an object, whichever library made them."""
    if id(thing) in seen or not hasattr(thing, "__dict__"):
        return []
    seen.add(id(thing))
    if type(thing).__name__ == "AsyncConnectionPool":
        return [thing]
    return [pool for member in vars(thing).values() for pool in _pools(member, seen)]
