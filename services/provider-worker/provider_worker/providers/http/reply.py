"""Answers of vendors' HTTP interfaces: an unread one, and bodies as JSON. Their meaning is each vendor's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from contracts.json_values import MAX_DIGITS
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.errors.failures import error_in, malformed, of_error

if TYPE_CHECKING:
    import httpx2


def parse(body: bytes, status: int | None = None, headers: Mapping[str, str] | None = None) -> Any:
    """Read an answer as JSON. Raises ProviderError when it is none, and when it holds an error in place of an answer."""
    try:
        value = json.loads(body, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise ProviderError(malformed(body, status)) from error
    if (error_told := error_in(value)) is not None:
        raise ProviderError(of_error(error_told, headers))
    return value


def _integer(digits: str) -> int | str:
    # Python reads no number of thousands of digits, and a paid answer must not be lost for one.
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else digits


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
