"""Frames leave in as few writes as possible, all of them, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.uri import parse_uri

from notifier.edges.websocket_protocol import TEXTS, CoalescingWebSocket
from testkit.memory_transport import MemoryTransport, loop_turn


class Line:
    """A served connection and its client; the test carries the bytes between them."""

    def __init__(self) -> None:
        self.wire = MemoryTransport()
        config = uvicorn.Config(self.application, interface="asgi3", ws_per_message_deflate=False, log_config=None)
        self.protocol = CoalescingWebSocket(config, ServerState(), {})
        self.client = ClientProtocol(parse_uri("ws://there/ws"))
        self.scope: Scope = {}
        self.open = asyncio.Event()
        self.ended = asyncio.Event()

    async def application(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept, and stay until the end."""
        self.scope, self.send = scope, send
        await receive()
        await send({"type": "websocket.accept"})
        self.open.set()
        await self.ended.wait()

    async def begin(self) -> None:
        """Shake hands."""
        self.protocol.connection_made(self.wire)
        self.client.send_request(self.client.connect())
        self.say()
        await self.open.wait()
        await self.hear()

    def say(self) -> None:
        """Let the server have what the client wrote."""
        for data in self.client.data_to_send():
            self.protocol.data_received(data)

    async def hear(self) -> list[bytes]:
        """Let the client have what the server wrote; return the messages."""
        await loop_turn()
        for data in self.wire.writes:
            self.client.receive_data(data)
        self.wire.writes.clear()
        return [bytes(event.data) for event in self.client.events_received() if isinstance(event, Frame)]


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """Return an open connection."""
    line = Line()
    await line.begin()
    yield line
    line.ended.set()
    await loop_turn()


async def test_many_texts_leave_in_one_write_each_a_message(line: Line) -> None:
    """Of any length, in order."""
    texts = [b"x" * length for length in (0, 1, 125, 126, 65_535, 65_536)] + ["\u201cé".encode()]
    await line.scope["extensions"][TEXTS](texts)
    await loop_turn()
    assert len(line.wire.writes) == 1
    assert await line.hear() == texts


async def test_a_client_that_does_not_read_is_waited_for(line: Line) -> None:
    """Its queue fills meanwhile, and the hub disconnects it."""
    line.protocol.pause_writing()
    sending = asyncio.ensure_future(line.scope["extensions"][TEXTS]([b"text"]))
    assert await line.hear() == []
    line.protocol.resume_writing()
    await sending
    assert await line.hear() == [b"text"]


@pytest.mark.parametrize("leave", ["says goodbye", "is cut off", "talks nonsense", "answers no ping"])
async def test_a_client_that_is_gone_is_sent_nothing_and_that_is_no_error(line: Line, leave: str) -> None:
    """A client may leave in the middle of anything, and uvicorn would call some of it an error of the application."""
    match leave:
        case "says goodbye":
            line.client.send_close()
            line.say()
        case "is cut off":
            line.protocol.connection_lost(ConnectionResetError())
        case "talks nonsense":
            line.protocol.data_received(b"\xff\xff\xff\xff")
        case "answers no ping":
            line.protocol.keepalive_timeout()
    line.wire.writes.clear()
    with pytest.raises(ClientDisconnected):
        await line.scope["extensions"][TEXTS]([b"text"])
    with pytest.raises(ClientDisconnected):
        await line.send({"type": "websocket.send", "text": "text"})
    assert b"text" not in b"".join(line.wire.writes)
