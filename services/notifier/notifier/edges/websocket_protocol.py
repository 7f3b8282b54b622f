"""Uvicorn's WebSocket protocol with coalesced writes: all frames of one turn of the loop leave in one write.

A write for each frame was most of the cost of pushing, and a new frame for each client most of the rest (measured). What a client may
make us hold or do at a time is bounded: bytes that are parsed in a turn, messages that wait, fragments of one, pongs it does not read.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.frames import CloseCode, Frame
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from chassis.http.problems import problem_response
from chassis.http.write_coalescing import CoalescingTransport

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

TEXTS = "sayso.texts"
"""The ASGI extension under which a connection's scope holds `CoalescingWebSocket.send_texts`."""

SendTexts = Callable[[Iterable[bytes]], Awaitable[None]]

SLICE_BYTES = 4 * 1024
"""Bytes that are parsed in one turn of the loop: a frame may be six bytes, and each takes as long as a small request."""

MOST_FRAGMENTS = 1_000
"""Fragments of one message."""

_quiet = logging.getLogger("sayso.websocket")
_quiet.setLevel(logging.CRITICAL)


class _Handshake(ServerProtocol):
    """The WebSocket without its socket. A handshake that is malformed gets a problem document."""

    def reject(self, status: HTTPStatus | int, text: str) -> Response:
        """Return a refusal."""
        status = HTTPStatus(status)
        code = _CODES.get(status, "bad_request")
        problem = problem_response(code, text.strip() or status.phrase, "/ws", status=status)
        headers = Headers([(name.decode(), value.decode()) for name, value in problem.raw_headers])
        headers["Connection"] = "close"
        return Response(status.value, status.phrase, headers, bytes(problem.body))


_CODES = {
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_URI_TOO_LONG: "uri_too_long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "headers_too_large",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
}


class CoalescingWebSocket(WebSocketsSansIOProtocol):
    """Uvicorn's protocol on a coalescing transport. A peer that answers no ping is aborted at once."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # What a client does wrong is no error of ours: the library would log each.
        self.conn = _Handshake(max_size=config.ws_max_size, logger=_quiet)
        self._held = b""
        self._goes_on = False
        self._pong = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, on a coalescing transport."""
        if not isinstance(transport, CoalescingTransport):
            transport = cast("asyncio.Transport", CoalescingTransport(cast("asyncio.Transport", transport), self.loop))
        super().connection_made(cast("asyncio.Transport", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._held = b""
        cast("CoalescingTransport", self.transport).lost()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse a slice a turn. While a message waits to be taken, the rest is held and no more is read."""
        if len(data) <= SLICE_BYTES and not self._held:
            self._feed(data)
            return
        self._held += data
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()
        self._go_on_soon()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message, and go on parsing once all are taken."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self._go_on_soon()
        return message

    def _go_on_soon(self) -> None:
        if not self._goes_on:
            self._goes_on = True
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        if self.disconnected or not self.queue.empty():
            return
        part, self._held = self._held[:SLICE_BYTES], self._held[SLICE_BYTES:]
        if part:
            self._feed(part)
            self._go_on_soon()
        elif not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    def _feed(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # A head that its own parser refuses: the answer is written, and uvicorn does not look for it.
            self.handshake_complete = self.close_sent = True
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment; refuse a message of too many."""
        if len(self.frames) < MOST_FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.frames = []
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, f"a message has at most {MOST_FRAGMENTS} fragments")
            self.handle_parser_exception()

    def handle_ping(self) -> None:
        """Answer a ping. A client that does not read gets one pong, for the last of its pings (RFC 6455, section 5.5.3)."""
        for pong in self.conn.data_to_send():
            if self.writable.is_set():
                self.transport.write(pong)
            elif pong:
                self._pong = pong

    def resume_writing(self) -> None:
        """Go on writing, with the pong that is due."""
        pong, self._pong = self._pong, b""
        if pong and not self.transport.is_closing():
            self.transport.write(pong)
        super().resume_writing()

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
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True  # a refusal completes it, which uvicorn would log as an error

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
