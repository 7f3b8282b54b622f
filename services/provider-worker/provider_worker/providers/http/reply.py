"""Answers of vendors' HTTP interfaces: an unread one, and bodies as JSON. Their meaning is each vendor's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.failures import malformed

if TYPE_CHECKING:
    import httpx2


def parse(body: bytes, status: int | None = None) -> Any:
    """Read an answer as JSON. Raises ProviderError when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderError(malformed(len(body), status)) from error


def parse_refusal(body: bytes) -> Any:
    """Read the body of a refusal, None where it is no JSON: a gateway's page must not hide the status."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


class UnreadReply:
    """An answer whose body is still to be read: as events, or whole from a server that does not stream.

    `errors` raises failures of reading as ProviderError.
    """

    def __init__(self, response: httpx2.Response, errors: Callable[[], AbstractContextManager[None]]) -> None:
        self._response = response
        self._errors = errors
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.is_stream = self.headers.get("content-type", "").lower().startswith("text/event-stream")

    async def body(self) -> bytes:
        """Return the whole body. Raises ProviderError."""
        with self._errors():
            return await self._response.aread()
