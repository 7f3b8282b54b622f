"""What our requests use of a connection of the library, for tests without a broker."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import Any

from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaConnectionError

from messaging.aiokafka_internals.connection import Connection


class LibraryConnection:
    """What is used of a connection of the library: its requests, its writer and how it is closed."""

    def __init__(self, timeout: float = 60.0) -> None:
        self._requests: deque[Any] = deque()
        self._reader: Any = self
        self._writer: Any = self
        self._read_task: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed_fut: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last_action = 0.0
        self._request_timeout = timeout
        self._client_id = "test"
        self._versions = {1: (4, 17)}
        self._buffer = b""
        self.transport = self
        self.protocol: Any = None
        self.written: list[bytes] = []
        self.handled: list[bytes] = []
        self.closed: list[CloseReason] = []
        self._number = 0

    def connected(self) -> bool:
        """Say whether it is open."""
        return self._reader is not None

    def set_protocol(self, protocol: Any) -> None:
        """Take another protocol."""
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        """Keep what is sent."""
        self.written.append(data)

    def _next_correlation_id(self) -> int:
        self._number += 1
        return self._number

    def _handle_frame(self, frame: bytes) -> None:
        self.handled.append(frame)
        self._requests.popleft()

    def ask_as_the_library(self) -> None:
        """Have a request of the library on its way."""
        self._requests.append((self._next_correlation_id(), object(), asyncio.get_running_loop().create_future()))

    def close(self, reason: Any = None, exc: Any = None) -> None:
        """Close as the library does, failing what is not answered."""
        self.closed.append(reason)
        self._writer = self._reader = None
        for *_, asked in self._requests:
            asked.set_exception(KafkaConnectionError(str(exc)))
        self._requests = deque()


class Client:
    """A client with one connection."""

    _client_id = "test"

    def __init__(self, conn: LibraryConnection) -> None:
        self._conns = {(7, 0): conn}


def taken(conn: LibraryConnection) -> Connection:
    """Return the connection, taken over."""
    connection: Connection | None = Connection.to(Client(conn), 7)
    assert conn.protocol is connection
    assert isinstance(connection, Connection)
    return connection


def frame(number: int, body: bytes = b"") -> bytes:
    """Return an answer as it travels."""
    return struct.pack(">ii", len(body) + 4, number) + body
