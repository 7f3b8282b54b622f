"""HTTP towards a provider with answers of a bounded size: what is larger is read no further."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from functools import cache

import httpx2

MOST_BYTES = 1_000_000


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Raises httpx2.ReadError for an answer of more than MOST_BYTES, or one that is compressed: a small one could be large."""

    def __init__(self) -> None:
        self._inner = httpx2.AsyncHTTPTransport(verify=_certificates())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request that asks for an answer as it is."""
        request.headers["Accept-Encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            await response.aclose()
            raise httpx2.ReadError("the answer is compressed, which was not asked for", request=request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedStream(response.stream)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


@cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that are trusted. Read once: that takes tens of milliseconds, in which nothing else is served."""
    return httpx2.create_ssl_context(trust_env=False)


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > MOST_BYTES:
                raise httpx2.ReadError(f"the answer is larger than {MOST_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
