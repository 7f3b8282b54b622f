"""An answer that is on its way, for vendors whose SDK leaves the reading to us. What its events are is each connection's business."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2


class Incoming:
    """An answer whose body is still to be read: as events, or whole from a server that does not stream.

    `told` tells what goes wrong while it is read as ProviderError.
    """

    def __init__(self, response: httpx2.Response, told: Callable[[], AbstractContextManager[None]]) -> None:
        self._response = response
        self._told = told
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.is_stream = self.headers.get("content-type", "").lower().startswith("text/event-stream")

    async def body(self) -> bytes:
        """Return the whole body. Raises ProviderError."""
        with self._told():
            return await self._response.aread()
