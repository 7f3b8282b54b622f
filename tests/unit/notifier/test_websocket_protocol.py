"""Frames leave in as few writes as possible, all of them, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame
from websockets.uri import parse_uri

from chassis.http.bounded_http import BoundedHttp, BoundedState
from chassis.http.connections import Connections
from notifier.edges.websocket_protocol import MOST_FRAGMENTS, TEXTS, CoalescingWebSocket
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
        self.protocol.data_received(b"".join(self.client.data_to_send()))

    async def hear(self) -> list[bytes]:
        """Let the client have what the server wrote; return the messages."""
        await loop_turn()
        for data in self.wire.writes:
            self.client.receive_data(data)
        self.wire.writes.clear()
        return [bytes(event.data) for event in self.client.events_received() if isinstance(event, Frame)]


async def until(happened: Callable[[], bool]) -> None:
    """Let the loop turn until something has happened."""
    async with asyncio.timeout(20):
        while not happened():
            await loop_turn()


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


async def test_a_client_that_pings_and_does_not_read_is_owed_one_pong(line: Line) -> None:
    """Its pings would fill our memory with answers; the last one is answered once it reads."""
    line.protocol.pause_writing()
    for at in range(10_000):
        line.client.send_ping(b"%d" % at)
    line.say()
    await until(lambda: not line.protocol.read_paused)
    assert line.wire.writes == []
    line.protocol.resume_writing()
    await loop_turn()
    assert line.wire.writes == [b"\x8a\x049999"]


async def test_a_message_of_very_many_fragments_is_refused(line: Line) -> None:
    """Each is an object here, however small it is."""
    line.client.send_text(b"", fin=False)
    for _ in range(MOST_FRAGMENTS):
        line.client.send_continuation(b"", fin=False)
    line.say()
    await until(line.wire.is_closing)
    await line.hear()
    assert line.client.close_rcvd is not None
    assert line.client.close_rcvd.code == CloseCode.MESSAGE_TOO_BIG


async def test_messages_that_are_not_taken_wait_outside(line: Line) -> None:
    """A client that sends many small messages at once makes us hold as many as one slice has."""
    for _ in range(5_000):
        line.client.send_text(b"")
    line.say()
    await until(lambda: line.protocol.queue.qsize() > 0)
    assert (line.protocol.queue.qsize() < 1000, line.wire.is_reading_paused) == (True, True)
    for _ in range(5_000):
        assert dict(await line.protocol.receive())["text"] == ""
    await until(lambda: not line.wire.is_reading_paused)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", 400),
        (b"GET /ws HTTP/1.1\r\nHost: here\r\n", 426),
        (b"POST /ws HTTP/1.1\r\nHost: here\r\n", 405),
        (b"GET /ws HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n", 431),
        (b"GET /ws HTTP/1.1\r\n" + b"X: a\r\n" * 200, 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n", 414),
    ],
)
async def test_a_handshake_that_is_malformed_gets_a_problem_document(
    head: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """And no line in our log: it is the client's error."""
    line = Line()
    line.protocol.connection_made(line.wire)
    line.protocol.data_received(head + b"\r\n")
    await until(line.wire.is_closing)
    answer, _, body = b"".join(line.wire.writes).partition(b"\r\n\r\n")
    assert answer.lower().count(b"content-type: application/problem+json") == 1
    assert (answer[9:12], json.loads(body)["status"]) == (str(status).encode(), status)
    assert line.wire.is_closing()
    assert caplog.records == []


async def test_a_refused_handshake_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """The application says no: the client reads it, and the log has no error."""

    async def refuse(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    wire = MemoryTransport()
    protocol = CoalescingWebSocket(uvicorn.Config(refuse, interface="asgi3", log_config=None), ServerState(), {})
    protocol.connection_made(wire)
    client = ClientProtocol(parse_uri("ws://there/ws"))
    client.send_request(client.connect())
    protocol.data_received(b"".join(client.data_to_send()))
    await until(lambda: not protocol.tasks)
    assert b"403 Forbidden" in b"".join(wire.writes)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nHost: there\r\n\r\n"])
async def test_a_connection_that_became_a_websocket_waits_for_no_request(before: bytes) -> None:
    """Also one that carried requests before, as those of proxies do; its place is given back at its end."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    wire, connections = MemoryTransport(), Connections()
    config = uvicorn.Config(serve, interface="asgi3", log_config=None, ws=CoalescingWebSocket)
    protocol = BoundedHttp(config, state := BoundedState(connections), {})
    protocol.connection_made(wire)
    if before:
        protocol.data_received(before)
        await until(lambda: b"204" in b"".join(wire.writes))
    client = ClientProtocol(parse_uri("ws://there/ws"))
    client.send_request(client.connect())
    protocol.data_received(b"".join(client.data_to_send()))
    await until(lambda: b"101 Switching" in b"".join(wire.writes))
    connections.sweep(asyncio.get_running_loop().time() + 1000)
    assert (wire.ended, len(connections)) == ([], 1)
    (upgraded,) = state.connections
    upgraded.connection_lost(None)
    await until(lambda: not state.tasks)
    assert len(connections) == 0
