"""Uvicorn's WebSocket protocol with coalesced writes: all frames of one turn of the loop leave in one write.

A write for each frame was most of the cost of pushing, and a new frame for each client most of the rest (measured).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from chassis.http.write_coalescing import CoalescingTransport

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

TEXTS = "sayso.texts"
"""The ASGI extension under which a connection's scope holds `CoalescingWebSocket.send_texts`."""

SendTexts = Callable[[Iterable[bytes]], Awaitable[None]]

LINGER_SECONDS = 10.0
"""How long a closed connection may take to read the last bytes; then it is aborted."""


class LingeringTransport(CoalescingTransport):
    """A coalescing transport whose close takes at most LINGER_SECONDS."""

    def close(self) -> None:
        """Write the held bytes and close; abort if the peer does not read them in time."""
        super().close()
        self._loop.call_later(LINGER_SECONDS, self._transport.abort)


class CoalescingWebSocket(WebSocketsSansIOProtocol):
    """Uvicorn's protocol on a coalescing transport. A peer that answers no ping is aborted at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, on a coalescing transport."""
        super().connection_made(
            cast("asyncio.Transport", LingeringTransport(cast("asyncio.Transport", transport), self.loop))
        )

    async def run_asgi(self) -> None:
        """Serve the connection, which may send many texts at once."""
        cast("dict[str, Any]", self.scope["extensions"])[TEXTS] = self.send_texts
        await super().run_asgi()

    async def send(self, message: ASGISendEvent) -> None:
        """Send. Raises ClientDisconnected after a close was sent; uvicorn would call that an error of the application."""
        await self.writable.wait()
        if self.close_sent and message["type"] == "websocket.send":
            raise ClientDisconnected
        await super().send(message)

    async def send_texts(self, texts: Iterable[bytes]) -> None:
        """Send each of `texts`, which are UTF-8, as a message, in one write. Raises ClientDisconnected, an OSError."""
        await self.writable.wait()
        if self.disconnected or self.conn.state is not State.OPEN:
            raise ClientDisconnected
        self.transport.write(b"".join([part for text in texts for part in (_head_of(text), text)]))

    def keepalive_timeout(self) -> None:
        """Abort the connection: a dead peer reads no close frame either."""
        super().keepalive_timeout()
        self.transport.abort()


_SHORT, _LONG = 126, 1 << 16


def _head_of(text: bytes) -> bytes:
    # RFC 6455, section 5.2: the one fragment of a text, unmasked.
    length = len(text)
    if length < _SHORT:
        return struct.pack(">BB", 0x81, length)
    return struct.pack(">BBH", 0x81, 126, length) if length < _LONG else struct.pack(">BBQ", 0x81, 127, length)
