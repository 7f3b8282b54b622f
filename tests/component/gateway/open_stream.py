"""A stream of the gateway that stays open: the application is asked directly, since httpx's transport waits for the end of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from gateway.api.routes import GatewayApi

PATIENCE_SECONDS = 10.0


class OpenStream:
    """The answer to one request, as far as it has come."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.left = asyncio.Event()
        """Set when the client leaves."""
        self._told = asyncio.Condition()
        self._is_over = False

    async def until(self, words: bytes) -> None:
        """Return once these have come."""
        await self._wait_for(lambda: words in self.body)

    async def ends(self) -> None:
        """Return once the answer has ended by itself."""
        await self._wait_for(lambda: self._is_over)

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take a part of the answer."""
        async with self._told:
            self.status = message.get("status", self.status)
            self.body += message.get("body", b"")
            self._is_over = message["type"] == "http.response.body" and not message.get("more_body", False)
            self._told.notify_all()

    async def _wait_for(self, condition: Any) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), self._told:
            await self._told.wait_for(condition)


@asynccontextmanager
async def opened(app: GatewayApi, path: str, headers: Mapping[str, str]) -> AsyncIterator[OpenStream]:
    """Ask for a stream, and leave it in the end."""
    stream = OpenStream()
    requests: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        if requests:
            return requests.pop()
        await stream.left.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"127.0.0.1"),
            *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    serving = asyncio.create_task(app(scope, receive, stream.send))
    try:
        yield stream
    finally:
        stream.left.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await serving
