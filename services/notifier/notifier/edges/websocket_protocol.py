"""How frames leave: uvicorn's WebSocket protocol, with what is written in one turn of the loop joined into one write.

Each frame in a write of its own was most of what pushing cost, and making each anew for every client most of the rest.
Nothing here knows what the frames say.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from chassis.write_coalescing import JoiningTransport

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

TEXTS = "sayso.texts"
"""The ASGI extension under which a connection's scope holds `JoiningWebSocket.send_texts`."""

SendTexts = Callable[[Iterable[bytes]], Awaitable[None]]

LINGER_SECONDS = 10.0
"""How long a closed connection may take to read what was written; then it is cut."""


class CuttingTransport(JoiningTransport):
    """Joins, and does not wait for ever for a peer to read the end."""

    def close(self) -> None:
        """Write what is held and close; a peer that never reads it is cut off."""
        super().close()
        self._loop.call_later(LINGER_SECONDS, self._transport.abort)


class JoiningWebSocket(WebSocketsSansIOProtocol):
    """Uvicorn's protocol on a joining transport. A peer that answers no ping is cut off at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, on the transport's stand-in."""
        super().connection_made(
            cast("asyncio.Transport", CuttingTransport(cast("asyncio.Transport", transport), self.loop))
        )

    async def run_asgi(self) -> None:
        """Serve the connection, which may send many texts at once."""
        cast("dict[str, Any]", self.scope["extensions"])[TEXTS] = self.send_texts
        await super().run_asgi()

    async def send(self, message: ASGISendEvent) -> None:
        """Send; a peer that was said goodbye to is gone, which uvicorn calls an error of the application."""
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
        """Drop a dead peer: it will not read a goodbye either."""
        super().keepalive_timeout()
        self.transport.abort()


_SHORT, _LONG = 126, 1 << 16


def _head_of(text: bytes) -> bytes:
    # RFC 6455, section 5.2: the one fragment of a text, unmasked.
    length = len(text)
    if length < _SHORT:
        return struct.pack(">BB", 0x81, length)
    return struct.pack(">BBH", 0x81, 126, length) if length < _LONG else struct.pack(">BBQ", 0x81, 127, length)
