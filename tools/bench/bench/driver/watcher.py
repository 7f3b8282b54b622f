"""One WebSocket for all reviewers: the time of each approval request and of each run's end."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Self

from pydantic_core import from_json

from bench.driver.connection import head_of

_TEXT, _PING, _PONG = 1, 9, 10
_REQUEST = b'{"type":"HITL_APPROVAL_REQUEST"'
_RUN_ID = b'"run_id":"'
_ECHO = b'{"type":"PONG"'
_OVER = b'"kind":"run-completed.v1"'
_VERSION = b'"version":'


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message: when it came (`time.perf_counter`), and its content."""

    at: float
    content: Any


class Watcher(asyncio.Protocol):
    """Parses server frames itself, unmasked and unfragmented: a general client would cost the measured machine more."""

    def __init__(self, authority: str, key: str | None) -> None:
        self._key = key
        self._authority = authority
        self._received = bytearray()
        self._open = False
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests: defaultdict[str, asyncio.Queue[Arrival]] = defaultdict(asyncio.Queue)
        self._over: defaultdict[str, asyncio.Future[Arrival]] = defaultdict(asyncio.get_running_loop().create_future)
        self._pong: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport

    @classmethod
    async def open(cls, url: str, key: str | None = None) -> Self:
        """Connect to `ws://host:port/path` and return once the snapshot has come."""
        authority, _, path = url.removeprefix("ws://").partition("/")
        host, _, port = authority.rpartition(":")
        loop = asyncio.get_running_loop()
        _, watcher = await loop.create_connection(lambda: cls(authority, key), host, int(port))
        watcher._send_handshake(f"/{path}")
        await asyncio.wait((watcher.ready, watcher.lost), return_when=asyncio.FIRST_COMPLETED)
        return watcher

    async def request(self, run_id: str) -> Arrival:
        """Wait for the next approval request of a run; `content` is its checkpoint."""
        return await self._requests[run_id].get()

    async def over(self, run_id: str) -> Arrival:
        """Wait for a run's completion; `content` is its last version. Forgets the run."""
        arrival = await self._over[run_id]
        self._over.pop(run_id)
        self._requests.pop(run_id, None)
        return arrival

    async def echo(self) -> None:
        """Send a PING and wait for the PONG."""
        self._pong = asyncio.get_running_loop().create_future()
        self._transport.write(_masked(b'{"type":"PING"}'))
        await self._pong

    def close(self) -> None:
        """Close the connection."""
        self.lost.cancel()
        self._transport.close()

    def _send_handshake(self, path: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {path} HTTP/1.1\r\nHost: {self._authority}\r\n{head_of(self._key)}Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail `lost`."""
        error = exc or ConnectionResetError("the notifier hung up")
        if not self.lost.done():
            self.lost.set_exception(error)

    def data_received(self, data: bytes) -> None:
        """Process every complete frame."""
        self._received += data
        if not self._open:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._received.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(bytes(self._received[:200]).decode())
            self._open = True
            del self._received[: end + 4]
        now = time.perf_counter()
        at = 0
        while (frame := _frame(self._received, at)) is not None:
            kind, start, at = frame
            if kind == _TEXT:
                self._take(bytes(self._received[start:at]), now)
            elif kind == _PING:
                payload = self._received[start:at]
                self._transport.write(bytes((0x80 | _PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
        del self._received[:at]

    def _take(self, text: bytes, now: float) -> None:
        if text.startswith(_REQUEST):
            message = from_json(text)
            self._requests[message["run_id"]].put_nowait(Arrival(now, message["checkpoint"]))
        elif _OVER in text:
            at = text.index(_RUN_ID) + len(_RUN_ID)
            version = text.index(_VERSION, at) + len(_VERSION)
            arrival = Arrival(now, int(text[version : text.index(b",", version)]))
            self._over[text[at : at + 36].decode()].set_result(arrival)
        elif not self.ready.done():
            self.ready.set_result(None)
        elif self._pong is not None and not self._pong.done() and text.startswith(_ECHO):
            self._pong.set_result(None)


def _masked(text: bytes) -> bytes:
    return bytes((0x80 | _TEXT, 0x80 | len(text), 0, 0, 0, 0)) + text


def _frame(received: bytearray, at: int) -> tuple[int, int, int] | None:
    """Return a frame's opcode, where its payload starts and where it ends; None while it is incomplete."""
    if len(received) < at + 2:
        return None
    length, start = received[at + 1] & 0x7F, at + 2
    if length >= 126:
        size = 2 if length == 126 else 8
        if len(received) < start + size:
            return None
        length, start = int.from_bytes(received[start : start + size]), start + size
    return (received[at] & 0x0F, start, start + length) if len(received) >= start + length else None
