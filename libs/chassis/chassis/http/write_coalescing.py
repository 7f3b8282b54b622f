"""Write coalescing: what is written to a connection in one turn of the event loop goes out in one write.

Each write is a system call, which costs as much as making the answer; a head and its body are one. Knows nothing of what is written.
A transport also says how much of it the client has read, for the bounds of connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

FLUSH_BYTES = 64 * 1024
"""Bytes that are written without waiting for more: asyncio's own mark for a client that reads too slowly."""

LINGER_SECONDS = 10.0
"""How long a closed connection may take to read the last bytes; then it is aborted."""


class CoalescingTransport:
    """Stands before a transport, and writes in one piece what it was given in one turn of the loop.

    `lost` is called by the protocol that sees the connection's end.
    """

    lost: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.is_closing = transport.is_closing
        self._buffered: list[bytes] = []
        self._size = 0
        self._written = 0

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
        """Write the buffer and close; abort if the peer does not read it in time."""
        self._flush()
        self._transport.close()
        if self.unread:
            self._loop.call_later(LINGER_SECONDS, self._transport.abort)

    def abort(self) -> None:
        """Close at once; what was not read is lost."""
        self._transport.abort()

    def end(self) -> None:
        """Write the buffer and say that nothing follows; what the peer sends is still read."""
        self._flush()
        if not self.is_closing():
            self._transport.write_eof()

    @property
    def read(self) -> int:
        """Bytes of what was written that the client, or its system, has taken."""
        return self._written - self.unread

    @property
    def unread(self) -> int:
        """Bytes that it has yet to take."""
        return self._transport.get_write_buffer_size()

    def _flush(self) -> None:
        buffered, size = self._buffered, self._size
        self._buffered, self._size = [], 0
        if buffered and not self.is_closing():
            self._written += size
            self._transport.writelines(buffered)
