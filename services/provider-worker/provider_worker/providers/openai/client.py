"""The SDK's client, with limits that it does not set by itself: how long, how large, how often.

Nothing that a worker without a key imports may import this: the SDK takes 15 MB.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx2
import openai

from contracts.providers.call import Failure
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.bounds import PLAIN, SECONDS, bound_by, kept_by
from provider_worker.providers.http.errors.failures import (
    ResponseTooLarge,
    error_in,
    malformed_event,
    of_connection,
    of_error,
    of_refusal,
    of_size,
)
from provider_worker.providers.http.held_bytes import held_by
from provider_worker.providers.http.limits import VendorLimits, limits_in
from provider_worker.providers.http.reply import UnreadReply, parse

TIMEOUT = httpx2.Timeout(**SECONDS)

_LIMITS = {
    f"{fact}_{thing}": f"x-ratelimit-{fact}-{thing}"
    for thing in ("requests", "tokens")
    for fact in ("limit", "remaining", "reset")
}


class _Stream(openai.AsyncStream[object]):
    """The SDK's stream, of which it would keep no more of an error than the member `error`, and nothing of an event's name."""

    last = ""

    async def _iter_events(self) -> AsyncIterator[Any]:
        async for event in super()._iter_events():
            self.last = event.data
            if event.event == "error" or '"error"' in event.data:  # others are not parsed twice
                told = json.loads(event.data)
                if event.event == "error" or error_in(told, in_stream=True) is not None:
                    raise ProviderError(of_error(told, self.response.headers))
            yield event


class Reply(UnreadReply):
    """An answer of OpenAI's, or of a server that speaks its protocols."""

    def __init__(self, stream: _Stream) -> None:
        super().__init__(stream.response, _provider_errors)
        self._stream = stream
        self.request_id = self.headers.get("x-request-id")

    async def events(self) -> AsyncGenerator[Any]:
        """Return the events as they come, parsed, until the one that says that all is said. Raises ProviderError."""
        with _provider_errors():
            try:
                async for event in self._stream:
                    yield event
            except (ValueError, RecursionError) as error:
                raise ProviderError(malformed_event(self._stream.last)) from error

    async def json(self) -> Any:
        """Return the one value. Raises ProviderError."""
        return parse(await self.body(), self.status, self.headers)


class OpenAIClient:
    """A client that tries once. Nothing connects before the first call."""

    def __init__(self, key: str, base_url: str | None, timeout: httpx2.Timeout = TIMEOUT) -> None:
        self.limits = VendorLimits(rate_limit)
        self._client = _client(key, base_url, timeout, self.limits)

    async def post(self, path: str, body: Mapping[str, Any] | None, key: str) -> httpx2.Response:
        """Post `body` once. Raises ProviderError."""
        with _provider_errors():
            return await self._client.post(path, cast_to=httpx2.Response, body=body, options=_named(key))

    async def get(self, path: str) -> Any:
        """Return the JSON at `path`. Raises ProviderError."""
        with _provider_errors():
            response = await self._client.get(path, cast_to=httpx2.Response)
        return parse(response.content, response.status_code, response.headers)

    @contextlib.asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any], key: str) -> AsyncIterator[Reply]:
        """Post `body` once, and give the answer while it comes. Leaving the context closes the connection. Raises ProviderError."""
        with _provider_errors():
            stream = await self._client.post(
                path,
                cast_to=object,
                body=body,
                options=_named(key),
                stream=True,
                stream_cls=_Stream,
            )
        async with stream:
            yield Reply(stream)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _named(key: str) -> Any:
    # OpenAI logs this id, and can be asked by it whether a call happened.
    return {"headers": {"X-Client-Request-Id": quote(key)}}


@contextlib.contextmanager
def _provider_errors() -> Iterator[None]:
    try:
        yield
    except (openai.OpenAIError, ResponseTooLarge, httpx2.HTTPError) as error:
        raise ProviderError(failure_of(error)) from error


def _client(key: str, base_url: str | None, timeout: httpx2.Timeout, limits: VendorLimits) -> openai.AsyncOpenAI:
    http = openai.DefaultAsyncHttpxClient(
        timeout=timeout,
        follow_redirects=False,
        limits=kept_by(httpx2),
        headers=PLAIN,
        event_hooks={"response": [bound_by(httpx2), held_by(httpx2), limits.note]},
    )
    return openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=timeout, http_client=http)


def rate_limit(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the account's limits from a response's headers, or None."""
    return limits_in(headers, _LIMITS)


def failure_of(error: openai.OpenAIError | httpx2.HTTPError | ResponseTooLarge) -> Failure:
    """Return the failure that `error` is."""
    match error:
        case ResponseTooLarge():
            return of_size()
        case openai.APIStatusError():
            return of_refusal(error.response)
        case openai.APIConnectionError():
            return of_connection(error.__cause__)
        case httpx2.HTTPError():  # while a body was read
            return of_connection(error)
        case openai.APIError(body=body):  # reported inside a stream
            return of_error(body)
        case _:
            return Failure(code="request_refused", message=f"OpenAI's SDK refused the call ({type(error).__name__}).")
