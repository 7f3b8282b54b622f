"""The SDK's client, with limits that it does not set by itself: how long, how large, how often."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import openai

from provider_worker.providers.openai.errors import MAX_RESPONSE_BYTES, ResponseTooLarge

TIMEOUT = httpx2.Timeout(connect=10, read=540, write=60, pool=10)
"""Seconds. Reading waits for a whole answer, which a model that reasons may think about for minutes."""

_LIMITS = ("limit-requests", "remaining-requests", "reset-requests", "limit-tokens", "remaining-tokens", "reset-tokens")


def connect(key: str, base_url: str | None) -> openai.AsyncOpenAI:
    """Make a client that tries once. Nothing connects before the first call."""
    http = openai.DefaultAsyncHttpxClient(
        timeout=TIMEOUT,
        follow_redirects=False,
        headers={"accept-encoding": "identity"},  # the limit below counts what arrives
        event_hooks={"response": [_bound]},
    )
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=TIMEOUT, http_client=http)


def rate_limit(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what a response says of the account's limits, or None."""
    found = {
        name.replace("-", "_"): headers[f"x-ratelimit-{name}"] for name in _LIMITS if f"x-ratelimit-{name}" in headers
    }
    return {name: int(value) if value.isdecimal() else value[:50] for name, value in found.items()} or None


async def _bound(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_RESPONSE_BYTES
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise ResponseTooLarge
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
