"""Fetches a file that a paid answer names: bounded in bytes and in time, from the hosts that are known, once more where a host fails once.

A file that cannot be had is no failure of the call: the answer is paid for, and its other parts are good.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from urllib.parse import urljoin

import httpx

from provider_worker.providers.http.bounds import DownloadTerms, NotFetched

_MOST_REDIRECTS = 3
_PASSING = (408, 425, 429)
"""Statuses of a host that may give the file a moment later, as all server errors are."""


class Downloads:
    """The downloads of one answer. `is_known` tells whether a file may be fetched from an address; redirects are held to it too."""

    def __init__(self, http: httpx.AsyncClient, terms: DownloadTerms, is_known: Callable[[str], bool]) -> None:
        self._http = http
        self._terms = terms
        self._is_known = is_known
        self._until = time.monotonic() + terms.seconds

    async def fetch(self, url: str) -> tuple[bytes, str]:
        """Return a file with its declared media type. Raises NotFetched."""
        tries = 1
        while True:
            try:
                async with asyncio.timeout(self._until - time.monotonic()):
                    return await self._fetched(url)
            except TimeoutError:
                raise NotFetched(f"it did not come within {self._terms.seconds:g} s") from None
            except NotFetched as error:
                if not error.passing or tries >= self._terms.tries:
                    raise
            await asyncio.sleep(self._terms.pause * tries)
            tries += 1

    async def _fetched(self, url: str) -> tuple[bytes, str]:
        for _ in range(_MOST_REDIRECTS + 1):
            if not self._is_known(url):
                raise NotFetched("its host sends to another one, which is not asked")
            try:
                async with self._http.stream("GET", url) as response:
                    if not response.has_redirect_location:
                        return await self._read(response)
                    url = urljoin(url, response.headers["location"])
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise NotFetched(f"its host could not be read ({type(error).__name__})", passing=True) from error
        raise NotFetched("its host sends from one address to the next")

    async def _read(self, response: httpx.Response) -> tuple[bytes, str]:
        if not response.is_success:
            passing = response.is_server_error or response.status_code in _PASSING
            raise NotFetched(f"its host answered with {response.status_code}", passing=passing)
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._terms.most_bytes:
            raise self._too_large(int(declared))
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > self._terms.most_bytes:
                raise self._too_large(None)
        return bytes(body), response.headers.get("content-type", "").split(";")[0].strip()

    def _too_large(self, size: int | None) -> NotFetched:
        has = "it has more" if size is None else f"it has {size}"
        return NotFetched(f"{has} bytes; the artifact store takes {self._terms.most_bytes}")
