"""Requests of ours on a connection of aiokafka: written as bytes, answered by a call.

The library reads with a stream and a task, and waits for each answer with a future and a timer of its own. That is most of what a
request costs. A connection that is taken over cuts the answers out of what arrives itself, with one timer for all; what the library
asks on it is answered as before.
"""

# ruff: noqa: SLF001 - this package is the one place for it

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections.abc import Callable
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import CorrelationIdError, KafkaConnectionError, KafkaError

from messaging.aiokafka_internals.shutdown import abort

Answered = Callable[[bytes, int, KafkaError | None], None]
"""Called with an answer and the place where its body begins, or with the error in place of one. Must not raise."""

INT32 = struct.Struct(">i")
_HEAD = struct.Struct(">ihhih")  # bytes that follow, API, version, correlation id, bytes of the client's name
_CORRELATION_AT = 8

_log = logging.getLogger(__name__)


def head(client: AIOKafkaClient, api: int, version: int) -> bytearray:
    """Return the beginning of a request, whose length and number are still to be filled in."""
    name = client._client_id.encode()
    return bytearray(_HEAD.pack(0, api, version, 0, len(name)) + name)


def topic_at(answer: bytes, at: int) -> tuple[bytes, int, int]:
    """Return the topic whose name begins at `at`, how many partitions of it follow, and where they begin."""
    end = at + 2 + (answer[at] << 8 | answer[at + 1])
    (parts,) = INT32.unpack_from(answer, end)
    return answer[at + 2 : end], parts, end + INT32.size


class Connection(asyncio.Protocol):
    """A connection of the library that was taken over."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn
        self._loop = asyncio.get_running_loop()
        self._arrived = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def to(cls, client: AIOKafkaClient, node_id: int) -> Connection | None:
        """Return the client's open connection to a broker, taken over; None without one, or while it is in use as it was."""
        conn = client._conns.get((node_id, ConnectionGroup.DEFAULT))
        if conn is None or not conn.connected():
            return None
        taken: Connection | None = conn.__dict__.get("_taken_over")
        if taken is None and not conn._requests and not conn._reader._buffer:
            taken = conn._taken_over = cls(conn)
            conn._read_task.cancel()
            conn._writer.transport.set_protocol(taken)
        return taken

    def speaks(self, api: int, version: int) -> bool:
        """Return whether the broker knows a version of an API."""
        least, most = self._conn._versions.get(api, (0, -1))
        return bool(least <= version <= most)

    def ask(self, request: bytearray, answered: Answered) -> None:
        """Send a request. `answered` is called once, also when the connection is lost or closed already."""
        conn = self._conn
        if conn._writer is None:
            self._loop.call_soon(answered, b"", 0, KafkaConnectionError("the connection is closed"))
            return
        number = conn._next_correlation_id()
        INT32.pack_into(request, 0, len(request) - INT32.size)
        INT32.pack_into(request, _CORRELATION_AT, number)
        conn._requests.append((number, None, _Asked(self._loop, answered)))
        conn._writer.transport.write(bytes(request))
        if self._timer is None:
            self._timer = self._loop.call_later(conn._request_timeout, self._end_if_silent)

    def data_received(self, data: bytes) -> None:
        """Hand on the answers that are complete."""
        self._conn._last_action = time.monotonic()
        if not self._arrived and len(data) >= 2 * INT32.size and INT32.unpack_from(data)[0] + INT32.size == len(data):
            self._take(data)  # the commonest case: one whole answer
            return
        arrived, begin = self._arrived, 0
        arrived += data
        while len(arrived) - begin >= INT32.size and self._conn._writer is not None:
            end = begin + INT32.size + INT32.unpack_from(arrived, begin)[0]
            if end > len(arrived):
                break
            if end < begin + 2 * INT32.size:  # no answer is shorter than its number
                self._conn.close(reason=CloseReason.OUT_OF_SYNC)
                return
            self._take(bytes(memoryview(arrived)[begin:end]))
            begin = end
        del arrived[:begin]

    def eof_received(self) -> bool:
        """Let the connection be closed."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is not answered, as the library does it."""
        conn = self._conn
        if self._timer is not None:
            self._timer.cancel()
        if conn._reader is not None:
            conn.close(reason=CloseReason.CONNECTION_BROKEN, exc=exc)
        if not conn._closed_fut.done():
            conn._closed_fut.set_result(None)

    def _take(self, answer: bytes) -> None:
        conn = self._conn
        if not conn._requests:
            conn.close(reason=CloseReason.OUT_OF_SYNC)
            return
        number, _, asked = conn._requests[0]
        if type(asked) is not _Asked:
            try:
                conn._handle_frame(answer[INT32.size :])
            except Exception as error:
                _log.exception("an answer of Kafka could not be read")
                conn.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
        elif INT32.unpack_from(answer, INT32.size)[0] != number:
            conn.close(reason=CloseReason.OUT_OF_SYNC, exc=CorrelationIdError("an answer to another request"))
        else:
            conn._requests.popleft()
            asked.answered(answer, 2 * INT32.size, None)

    def _end_if_silent(self) -> None:
        conn, self._timer = self._conn, None
        oldest = next((asked for *_, asked in conn._requests if type(asked) is _Asked), None)
        if oldest is None:
            return
        # A broker answers in order: while it answers those before, this one is on its way.
        left = max(oldest.since, conn._last_action) + conn._request_timeout - time.monotonic()
        if left > 0:
            self._timer = self._loop.call_later(left, self._end_if_silent)
        else:
            abort(conn, CloseReason.CONNECTION_TIMEOUT)


class _Asked:
    """Stands where the library keeps the future of a request: a connection that is closed fails it like one."""

    __slots__ = ("_loop", "answered", "since")

    def __init__(self, loop: asyncio.AbstractEventLoop, answered: Answered) -> None:
        self._loop = loop
        self.answered = answered
        self.since = time.monotonic()

    def done(self) -> bool:
        return False

    def set_exception(self, error: KafkaError) -> None:
        # Not at once: the connection is in the middle of being closed.
        self._loop.call_soon(self.answered, b"", 0, error)
