"""The SDK's client, with limits that it does not set by itself, and what each of its errors means for a run.

Nothing that a worker without a key imports may import this: the SDK takes 15 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anthropic
import httpx2

from contracts.work import Failure
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.bounding import PLAIN, bound_by
from provider_worker.providers.http.failures import ResponseTooLarge, of_connection, of_size, of_status

OWN_URL = "https://api.anthropic.com"

TIMEOUT = httpx2.Timeout(connect=10, read=540, write=60, pool=10)
"""Seconds. Reading waits for a whole answer, which a model that thinks may take minutes for."""

_THINGS = ("requests", "tokens", "input-tokens", "output-tokens")
_FACTS = ("limit", "remaining", "reset")


class Connection:
    """A client that tries once. Nothing connects before the first call."""

    def __init__(self, key: str, base_url: str | None, timeout: httpx2.Timeout = TIMEOUT) -> None:
        self._client = _client(key, base_url or OWN_URL, timeout)
        self.limits: dict[str, Any] | None = None

    async def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        """Post `body` once. Raises ProviderError."""
        try:
            response = await self._client.post(path, cast_to=httpx2.Response, body=body)
        except anthropic.AnthropicError as error:
            if isinstance(error, anthropic.APIStatusError):
                self._learn_limits(error.response.headers)
            raise ProviderError(failure_of(error)) from error
        self._learn_limits(response.headers)
        return response

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _learn_limits(self, headers: Mapping[str, str]) -> None:
        self.limits = rate_limit(headers) or self.limits


def _client(key: str, base_url: str, timeout: httpx2.Timeout) -> anthropic.AsyncAnthropic:
    http = anthropic.DefaultAsyncHttpxClient(
        timeout=timeout,
        follow_redirects=False,
        headers=PLAIN,
        event_hooks={"response": [bound_by(httpx2)]},
    )
    return anthropic.AsyncAnthropic(api_key=key, base_url=base_url, max_retries=0, timeout=timeout, http_client=http)


def failure_of(error: anthropic.AnthropicError) -> Failure:
    """Say what `error` means."""
    match error:
        case anthropic.APIStatusError(status_code=status, api_message=said):
            return of_status(status, error.response.headers, said, (error.type, error.error_code))
        case anthropic.APIConnectionError(__cause__=ResponseTooLarge()):
            return of_size()
        case anthropic.APIConnectionError():
            return of_connection(error.__cause__)
        case _:
            return Failure(
                code="request_refused", message=f"Anthropic's SDK refused the call ({type(error).__name__})."
            )


def rate_limit(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what a response says of the account's limits, or None. Moments of reset are RFC 3339."""
    found = {
        f"{fact}_{thing.replace('-', '_')}": headers[name]
        for thing in _THINGS
        for fact in _FACTS
        if (name := f"anthropic-ratelimit-{thing}-{fact}") in headers
    }
    return {name: int(value) if value.isdecimal() else value[:50] for name, value in found.items()} or None
