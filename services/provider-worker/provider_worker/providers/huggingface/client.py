"""The SDK's inference client, with limits that it does not set by itself: how long, how large, how often.

Nothing that a worker without a token imports may import this: the SDK takes 20 MB and 0.4 s of CPU to load.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
from huggingface_hub import AsyncInferenceClient
from huggingface_hub.inference._common import RequestParameters
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # public, but loaded by name

from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.bounds import PLAIN, SECONDS, bound_by, kept_by
from provider_worker.providers.http.errors.failures import ResponseTooLarge, malformed_event, of_error
from provider_worker.providers.http.held_bytes import held_by
from provider_worker.providers.http.limits import VendorLimits
from provider_worker.providers.http.reply import UnreadReply
from provider_worker.providers.huggingface.failures import Refused, failure_of, rate_limit
from provider_worker.providers.huggingface.payloads import Addresses

TIMEOUT = httpx2.Timeout(**SECONDS)

_REDIRECT = 300
_DONE = "[DONE]"
_answered: ContextVar[httpx2.Response] = ContextVar("answered")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    body: bytes
    headers: Mapping[str, str]


class ChatReply(UnreadReply):
    """A chat's answer, on its way."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response, _provider_errors)

    async def chunks(self) -> AsyncGenerator[Any]:
        """Return the events' data, up to the one that ends the stream. Raises ProviderError."""
        with _provider_errors():
            # The SDK's own reader takes some letters for the end of a line, and leaves the rest of their event out.
            async for event in httpx2.EventSource(self._response, max_event_size=None):
                if event.data == _DONE:
                    return
                if event.data:
                    yield _parsed(event)


class HuggingFaceClient:
    """A client that tries once. Nothing connects before the first call."""

    def __init__(self, token: str | None, addresses: Addresses, timeout: httpx2.Timeout = TIMEOUT) -> None:
        self._addresses = addresses
        # False rather than None: for None the SDK would send any token that it finds on this machine.
        self._headers = build_hf_headers(token=token or False, library_name="sayso")
        self.limits = VendorLimits(rate_limit)
        self._http = httpx2.AsyncClient(
            limits=kept_by(httpx2),
            headers=PLAIN,
            event_hooks={"response": [bound_by(httpx2), held_by(httpx2), self.limits.note, self._note]},
        )
        self._timeout = timeout

    @contextlib.asynccontextmanager
    async def chat(self, body: dict[str, Any], key: str) -> AsyncIterator[ChatReply]:
        """Complete a chat once, and give the answer while it comes. Leaving the context closes the connection. Raises ProviderError."""
        client = _Client(self._http, self._timeout)
        async with client.exit_stack:
            with _provider_errors():
                await client._inner_post(self._request(self._addresses.chat, "conversational", body, key), stream=True)  # noqa: SLF001
            yield ChatReply(_answered.get())

    async def run(self, task: str, model: str, body: dict[str, Any], key: str) -> Reply:
        """Run a model's pipeline for `task` once. Raises ProviderError."""
        request = self._request(f"{self._addresses.models}/{model}", task, body, key)
        with _provider_errors():
            content = await _Client(self._http, self._timeout)._inner_post(request)  # noqa: SLF001
        return Reply(content, _answered.get().headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _request(self, url: str, task: str, body: dict[str, Any], key: str) -> RequestParameters:
        headers = {**self._headers, "x-request-id": quote(key)}
        return RequestParameters(url=url, task=task, model=None, json=body, data=None, headers=headers)

    async def _note(self, response: httpx2.Response) -> None:
        if response.status_code >= _REDIRECT:
            await response.aread()
            raise Refused(response)
        _answered.set(response)


@contextlib.contextmanager
def _provider_errors() -> Iterator[None]:
    try:
        yield
    except (Refused, ResponseTooLarge, httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProviderError(failure_of(error)) from error


def _parsed(event: httpx2.ServerSentEvent) -> Any:
    try:
        told = json.loads(event.data)
    except (ValueError, RecursionError) as error:
        raise ProviderError(malformed_event(event.data)) from error
    if event.event == "error":
        raise ProviderError(of_error(told))
    return told


class _Client(AsyncInferenceClient):
    """The SDK's client over an HTTP client of ours: its own would follow redirects and read without a bound.

    One for each call, since it keeps a stream open until it is closed itself. Its `_inner_post` is the only way to send a body as it is:
    its typed methods would drop members that are null, rewrite `response_format` and decode images.
    """

    def __init__(self, http: httpx2.AsyncClient, timeout: httpx2.Timeout) -> None:
        super().__init__(timeout=timeout)  # type: ignore[arg-type] # it hands it on to httpx2, which takes this as well
        self._http = http

    async def _get_async_client(self) -> httpx2.AsyncClient:
        return self._http
