"""How answers leave: what is written to a connection in one turn of the loop goes in one write. Knows nothing of what is written.

Each write is a call of the system, which costs as much as making the answer; a head and its body are one.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ENOUGH = 64 * 1024
"""Bytes that are written without waiting for more: asyncio's own mark for a client that reads too slowly."""


class JoiningTransport:
    """Stands before a transport, and hands on in one piece what it was given in one turn of the loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.is_closing = transport.is_closing
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write with whatever else is written in this turn."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= ENOUGH:
            self._flush()

    def close(self) -> None:
        """Write what is held and close; a peer may take its time to read it."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self.is_closing():
            self._transport.writelines(held)


class JoiningHttp(HttpToolsProtocol):
    """Uvicorn's protocol on a joining transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, on the transport's stand-in."""
        super().connection_made(cast("asyncio.Transport", JoiningTransport(transport, self.loop)))
