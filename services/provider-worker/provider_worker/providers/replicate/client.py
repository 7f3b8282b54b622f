"""The SDK's client, with limits that it does not set by itself: how long, how large, how often.

Nothing that a worker without a token imports may import this: the SDK makes a client when it is imported, and takes memory.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from replicate.client import Client

from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.bounds import PLAIN, DownloadTerms, bound_by, kept_by
from provider_worker.providers.http.download import Downloads
from provider_worker.providers.http.errors.failures import (
    ResponseTooLarge,
    malformed,
    of_connection,
    of_refusal,
    of_size,
)
from provider_worker.providers.http.held_bytes import held_by
from provider_worker.providers.http.limits import VendorLimits, limits_in
from provider_worker.providers.http.reply import parse
from provider_worker.providers.replicate.hosts import BASE_URL, delivers

UPLOAD_SECONDS = 120.0
_LIMITS = {name: f"ratelimit-{name}" for name in ("limit", "remaining", "reset")}

T = TypeVar("T")


class ReplicateClient:
    """A client that asks once. Nothing connects before the first call. `read_seconds` is how long it waits for bytes."""

    def __init__(self, token: str, base_url: str | None, read_seconds: float, files: DownloadTerms) -> None:
        self._file_terms = files
        self._base_url = base_url or BASE_URL
        timeout = httpx.Timeout(connect=10, read=read_seconds, write=60, pool=10)
        self.limits = VendorLimits(lambda headers: limits_in(headers, _LIMITS))
        once = _WithoutRetries(self.limits.learn)
        self._client = _Client(
            token, base_url=self._base_url, timeout=timeout, headers=dict(PLAIN), transport=once, follow_redirects=False
        )
        # Files are fetched without the token: it belongs to the API's own host.
        self._files = httpx.AsyncClient(
            timeout=timeout,
            headers=PLAIN,
            transport=httpx.AsyncHTTPTransport(limits=kept_by(httpx)),
            follow_redirects=False,
        )

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Make one request and return its JSON. Raises ProviderError."""
        response = await _answered(self._client.ask(method, path, body))
        return parse(response.content, response.status_code, response.headers)

    async def prediction(self, name: str) -> Any:
        """Return a prediction as it stands. Raises ProviderError."""
        return await self.ask("GET", f"/v1/predictions/{quote(name, safe='')}")

    async def cancel(self, name: str) -> Any:
        """Cancel a prediction and return it as it stands. Raises ProviderError."""
        return await self.ask("POST", f"/v1/predictions/{quote(name, safe='')}/cancel")

    async def upload(self, body: bytes, media_type: str) -> str:
        """Upload a file and return the address under which models find it. Raises ProviderError."""
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):  # the SDK sets no limit here
                file = await _answered(self._client.files.async_create(io.BytesIO(body), content_type=media_type))
            return str(file.urls["get"])
        except TimeoutError as error:
            raise ProviderError(of_connection(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ProviderError(malformed(b"")) from error

    def delivers(self, url: str) -> bool:
        """Return whether outputs of predictions lie at an address."""
        return delivers(url, self._base_url)

    def downloads(self) -> Downloads:
        """Return the downloads of one output."""
        return Downloads(self._files, self._file_terms, self.delivers)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self._files.aclose()


class _Client(Client):
    """The SDK's client by its one request: its typed methods set no time limit, drop members, and know no status `aborted`."""

    async def ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        return await self._async_request(method, path, **({} if body is None else {"json": body}))

    async def close(self) -> None:
        await self._async_client.aclose()


class _WithoutRetries(httpx.AsyncBaseTransport):
    """Raises refusals before the SDK sees them: it would retry, and its errors lose Retry-After."""

    def __init__(self, learn: Callable[[Mapping[str, str]], None]) -> None:
        self._transport = httpx.AsyncHTTPTransport(limits=kept_by(httpx))
        self._bound, self._hold = bound_by(httpx), held_by(httpx)
        self._learn = learn

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        await self._bound(response)
        await self._hold(response)
        self._learn(response.headers)
        if response.is_success:
            return response
        response.request = request
        try:
            await response.aread()
        finally:
            await response.aclose()
        raise ProviderError(of_refusal(response))

    async def aclose(self) -> None:
        await self._transport.aclose()


async def _answered(asking: Awaitable[T]) -> T:
    try:
        return await asking
    except ResponseTooLarge as error:
        raise ProviderError(of_size()) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderError(of_connection(error)) from error
