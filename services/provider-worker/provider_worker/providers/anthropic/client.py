"""The SDK's client, with limits that it does not set by itself, and the failure that each of its errors is.

Nothing that a worker without a key imports may import this: the SDK takes 15 MB.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import Any

import anthropic
import httpx2

from contracts.providers.call import Failure
from provider_worker.providers.anthropic.stream import Event
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.bounds import PLAIN, SECONDS, bound_by, kept_by
from provider_worker.providers.http.errors.failures import (
    ResponseTooLarge,
    malformed_event,
    of_connection,
    of_refusal,
    of_size,
)
from provider_worker.providers.http.held_bytes import held_by
from provider_worker.providers.http.limits import VendorLimits, limits_in
from provider_worker.providers.http.reply import UnreadReply

_Stream = anthropic.AsyncStream[object]

OWN_URL = "https://api.anthropic.com"

TIMEOUT = httpx2.Timeout(**SECONDS)

_LIMITS = {
    f"{fact}_{thing}": f"anthropic-ratelimit-{thing.replace('_', '-')}-{fact}"
    for thing in ("requests", "tokens", "input_tokens", "output_tokens")
    for fact in ("limit", "remaining", "reset")
}


class AnthropicClient:
    """A client that tries once. Nothing connects before the first call."""

    def __init__(self, key: str, base_url: str | None, timeout: httpx2.Timeout = TIMEOUT) -> None:
        self.limits = VendorLimits(rate_limit)
        self._client = _client(key, base_url or OWN_URL, timeout, self.limits)

    @contextlib.asynccontextmanager
    async def post(self, path: str, body: dict[str, Any]) -> AsyncIterator[Reply]:
        """Post `body` once and give the answer, which is closed at the end whether it was read or not. Raises ProviderError."""
        with _provider_errors():
            stream = await self._client.post(path, cast_to=object, body=body, stream=True, stream_cls=_Stream)
        async with stream:
            yield Reply(stream.response)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class Reply(UnreadReply):
    """An answer of Anthropic's, or of a server that speaks its protocol."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response, _provider_errors)

    async def events(self) -> AsyncGenerator[Event]:
        """Return the events as they come. Raises ProviderError."""
        with _provider_errors():
            try:
                async for event in _Stream.raw_events(self._response):
                    yield Event(event.event, event.data)
            except UnicodeDecodeError as error:
                raise ProviderError(malformed_event()) from error


@contextlib.contextmanager
def _provider_errors() -> Iterator[None]:
    """Raise errors of the SDK, and of the HTTP library while we read by ourselves, as ProviderError."""
    try:
        yield
    except (anthropic.AnthropicError, ResponseTooLarge, httpx2.HTTPError) as error:
        raise ProviderError(failure_of(error)) from error


def _client(key: str, base_url: str, timeout: httpx2.Timeout, limits: VendorLimits) -> anthropic.AsyncAnthropic:
    http = anthropic.DefaultAsyncHttpxClient(
        timeout=timeout,
        follow_redirects=False,
        limits=kept_by(httpx2),
        headers=PLAIN,
        event_hooks={"response": [bound_by(httpx2), held_by(httpx2), limits.note]},
    )
    return anthropic.AsyncAnthropic(api_key=key, base_url=base_url, max_retries=0, timeout=timeout, http_client=http)


def failure_of(error: Exception) -> Failure:
    """Return the failure that `error` is: one of the SDK's, one of the HTTP library's, or an answer too large."""
    match error:
        case ResponseTooLarge():
            return of_size()
        case httpx2.HTTPError():
            return of_connection(error)
        case anthropic.APIStatusError():
            return of_refusal(error.response)
        case anthropic.APIConnectionError(__cause__=ResponseTooLarge()):
            return of_size()
        case anthropic.APIConnectionError():
            return of_connection(error.__cause__)
        case _:
            return Failure(
                code="request_refused", message=f"Anthropic's SDK refused the call ({type(error).__name__})."
            )


def rate_limit(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the account's limits from a response's headers, or None. Moments of reset are RFC 3339."""
    return limits_in(headers, _LIMITS)
