"""Write coalescing: what is written to a connection in one turn of the event loop goes out in one write.

Each write is a system call, which costs as much as making the answer; a head and its body are one. Knows nothing of what is written.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

FLUSH_BYTES = 64 * 1024
"""Bytes that are written without waiting for more: asyncio's own mark for a client that reads too slowly."""


class CoalescingTransport:
    """Stands before a transport, and writes in one piece what it was given in one turn of the loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.is_closing = transport.is_closing
        self._buffered: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write together with whatever else is written in this turn."""
        if not self._buffered:
            self._loop.call_soon(self._flush)
        self._buffered.append(data)
        self._size += len(data)
        if self._size >= FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the buffer and close; a peer may take its time to read it."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        buffered, self._buffered, self._size = self._buffered, [], 0
        if buffered and not self.is_closing():
            self._transport.writelines(buffered)


class CoalescingHttp(HttpToolsProtocol):
    """Uvicorn's HTTP protocol on a coalescing transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, on the coalescing transport."""
        super().connection_made(cast("asyncio.Transport", CoalescingTransport(transport, self.loop)))
