"""The SDK's inference client, with limits that it does not set by itself: how long, how large, how often.

Nothing that a worker without a token imports may import this: the SDK takes 20 MB and 0.4 s of CPU to load.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
from huggingface_hub import AsyncInferenceClient
from huggingface_hub.inference._common import RequestParameters
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # public, but loaded by name

from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.bounding import PLAIN, bound_by
from provider_worker.providers.http.failures import ResponseTooLarge
from provider_worker.providers.huggingface.addresses import Addresses
from provider_worker.providers.huggingface.errors import Refused, failure_of
from provider_worker.providers.huggingface.limits import rate_limit

TIMEOUT = httpx2.Timeout(connect=10, read=540, write=60, pool=10)
"""Seconds. Reading waits for a whole answer, which a model that is being loaded may take minutes for."""

_REDIRECT = 300
_answered: ContextVar[httpx2.Headers] = ContextVar("answered")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    body: bytes
    headers: Mapping[str, str]


class Connection:
    """A client that tries once. Nothing connects before the first call."""

    def __init__(self, token: str | None, addresses: Addresses, timeout: httpx2.Timeout = TIMEOUT) -> None:
        self._addresses = addresses
        # False rather than None, for which the SDK would send whatever token it finds on this machine.
        self._headers = build_hf_headers(token=token or False, library_name="countersign")
        self._http = httpx2.AsyncClient(
            headers=PLAIN,
            event_hooks={"response": [bound_by(httpx2), self._note]},
        )
        self._client = _Client(self._http, timeout)
        self.limits: dict[str, Any] | None = None

    async def chat(self, body: dict[str, Any], key: str) -> Reply:
        """Complete a chat once. Raises ProviderError."""
        return await self._post(self._addresses.chat, "conversational", body, key)

    async def run(self, task: str, model: str, body: dict[str, Any], key: str) -> Reply:
        """Run a model's pipeline for `task` once. Raises ProviderError."""
        return await self._post(f"{self._addresses.models}/{model}", task, body, key)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _post(self, url: str, task: str, body: dict[str, Any], key: str) -> Reply:
        headers = {**self._headers, "x-request-id": quote(key)}
        request = RequestParameters(url=url, task=task, model=None, json=body, data=None, headers=headers)
        try:
            # The SDK's typed methods would drop members that are null, rewrite `response_format` and decode images.
            content = await self._client._inner_post(request)  # noqa: SLF001 - there is no public way to send a body as it is
        except (Refused, ResponseTooLarge, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ProviderError(failure_of(error)) from error
        return Reply(content, _answered.get())

    async def _note(self, response: httpx2.Response) -> None:
        self.limits = rate_limit(response.headers) or self.limits
        if response.status_code >= _REDIRECT:
            await response.aread()
            raise Refused(response)
        _answered.set(response.headers)


class _Client(AsyncInferenceClient):
    """The SDK's client over an HTTP client of ours: its own would follow redirects and read without a bound."""

    def __init__(self, http: httpx2.AsyncClient, timeout: httpx2.Timeout) -> None:
        super().__init__(timeout=timeout)  # type: ignore[arg-type] # it hands it on to httpx2, which takes this as well
        self._http = http

    async def _get_async_client(self) -> httpx2.AsyncClient:
        return self._http
