"""The SDK's client, with limits that it does not set by itself: how long, how large, how often.

Nothing that a worker without a key imports may import this: the SDK takes 15 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx2
import openai

from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.bounding import PLAIN, bound_by
from provider_worker.providers.http.failures import ResponseTooLarge
from provider_worker.providers.openai.errors import failure_of

TIMEOUT = httpx2.Timeout(connect=10, read=540, write=60, pool=10)
"""Seconds. Reading waits for a whole answer, which a model that reasons may think about for minutes."""

_LIMITS = ("limit-requests", "remaining-requests", "reset-requests", "limit-tokens", "remaining-tokens", "reset-tokens")


class Connection:
    """A client that tries once. Nothing connects before the first call."""

    def __init__(self, key: str, base_url: str | None) -> None:
        self._client = _client(key, base_url)
        self.limits: dict[str, Any] | None = None

    async def post(self, path: str, body: dict[str, Any], key: str) -> httpx2.Response:
        """Post `body` once. Raises ProviderError."""
        try:
            # OpenAI logs this id, and can be asked by it whether a call happened.
            response = await self._client.post(
                path, cast_to=httpx2.Response, body=body, options={"headers": {"X-Client-Request-Id": quote(key)}}
            )
        except (openai.OpenAIError, ResponseTooLarge) as error:
            if isinstance(error, openai.APIStatusError):
                self._learn_limits(error.response.headers)
            raise ProviderError(failure_of(error)) from error
        self._learn_limits(response.headers)
        return response

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _learn_limits(self, headers: Mapping[str, str]) -> None:
        self.limits = rate_limit(headers) or self.limits


def _client(key: str, base_url: str | None) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(
        timeout=TIMEOUT,
        follow_redirects=False,
        headers=PLAIN,
        event_hooks={"response": [bound_by(httpx2)]},
    )
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=TIMEOUT, http_client=http)


def rate_limit(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what a response says of the account's limits, or None."""
    found = {
        name.replace("-", "_"): headers[f"x-ratelimit-{name}"] for name in _LIMITS if f"x-ratelimit-{name}" in headers
    }
    return {name: int(value) if value.isdecimal() else value[:50] for name, value in found.items()} or None
