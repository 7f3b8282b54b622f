"""How answers leave: in as few writes as possible, all of them, in order."""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from chassis.http.bounded_http import BoundedHttp
from chassis.http.write_coalescing import FLUSH_BYTES, CoalescingTransport
from testkit.memory_transport import MemoryTransport, loop_turn


async def test_what_is_written_in_one_turn_leaves_in_one_write() -> None:
    """The frames of a burst are one packet."""
    wire = MemoryTransport()
    coalescing = CoalescingTransport(wire, asyncio.get_running_loop())
    for frame in (b"a", b"b", b"c"):
        coalescing.write(frame)
    assert wire.writes == []
    await loop_turn()
    assert wire.writes == [b"abc"]
    coalescing.write(b"d")
    await loop_turn()
    assert wire.writes == [b"abc", b"d"]


async def test_much_is_not_held_back() -> None:
    """So that a client that reads too slowly is noticed while it is written to."""
    wire = MemoryTransport()
    coalescing = CoalescingTransport(wire, asyncio.get_running_loop())
    coalescing.write(b"a")
    coalescing.write(b"b" * FLUSH_BYTES)
    assert wire.writes == [b"a" + b"b" * FLUSH_BYTES]
    await loop_turn()
    assert len(wire.writes) == 1


async def test_what_is_held_leaves_before_the_end() -> None:
    """A goodbye is written before the connection is closed."""
    wire = MemoryTransport()
    coalescing = CoalescingTransport(wire, asyncio.get_running_loop())
    coalescing.write(b"goodbye")
    coalescing.close()
    assert (wire.writes, wire.ended) == ([b"goodbye"], ["closed"])


async def test_everything_else_is_the_transports() -> None:
    """The protocol above sees no difference."""
    wire = MemoryTransport()
    coalescing = CoalescingTransport(wire, asyncio.get_running_loop())
    assert coalescing.is_closing() is False
    coalescing.abort()
    assert wire.ended == ["cut"]
    assert coalescing.is_closing() is True


async def test_an_answer_is_one_write() -> None:
    """Its head and its body, which uvicorn writes one after the other; the next one waits for its own request."""

    async def answer(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"body"})

    wire = MemoryTransport()
    config = uvicorn.Config(answer, interface="asgi3", log_config=None, server_header=False)
    protocol = BoundedHttp(config, ServerState(), {})
    protocol.connection_made(wire)
    for count in (1, 2):
        protocol.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
        await loop_turn()
        await loop_turn()
        assert wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"] * count
    protocol.shutdown()
    assert wire.ended == ["closed"]
