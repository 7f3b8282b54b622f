"""Failures of the ledger: an unreliable one, a TCP proxy that cuts connections to PostgreSQL, and the tables' rows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg

from orchestrator.ports import Batch, Ledger, LedgerUnavailable, LoadedStreams

TABLES = {
    "commits": "position",
    "events": "position, version",
    "refusals": "command_id",
    "intake": "log_id, topic, partition",
    "deadlines": "stream_id",
}
"""The ledger's tables, and the order to read each in; `events` are the lines of the `commits` of runs."""


class UnreliableLedger:
    """A ledger whose calls fail on demand, before they reach it or after they took effect."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._before: dict[str, int] = {}
        self._after: dict[str, int] = {}
        self.calls: list[str] = []

    def fail(self, call: str, times: int) -> None:
        """Let the next calls fail without effect."""
        self._before[call] = times

    def lose_answer(self, call: str) -> None:
        """Let the next call take effect and then fail."""
        self._after[call] = 1

    async def transact(self, batch: Batch) -> None:
        """Write as the ledger does."""
        async with self._unreliable("transact"):
            await self._ledger.transact(batch)

    async def load(self, stream_ids: Iterable[UUID]) -> LoadedStreams:
        """Load as the ledger does."""
        async with self._unreliable("load"):
            return await self._ledger.load(stream_ids)

    async def positions(self, partitions: Iterable[int]) -> dict[int, int]:
        """Return positions as the ledger does."""
        async with self._unreliable("positions"):
            return await self._ledger.positions(partitions)

    @contextlib.asynccontextmanager
    async def _unreliable(self, call: str) -> AsyncIterator[None]:
        self.calls.append(call)
        if self._before.get(call, 0):
            self._before[call] -= 1
            raise LedgerUnavailable("unavailable on demand")
        yield
        if self._after.pop(call, 0):
            raise LedgerUnavailable("the answer was lost")


class TcpProxy:
    """A TCP proxy to PostgreSQL that can cut its connections: at once, or when the client has sent certain bytes."""

    def __init__(self, url: str) -> None:
        self._server_url = urlsplit(url)
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._server: asyncio.Server | None = None
        self._cut_after: bytes | None = None
        self._cut_within: bytes | None = None
        self.url = ""

    async def open(self) -> None:
        """Listen on a port of loopback; `url` is the database through the proxy."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        there = self._server_url
        self.url = urlunsplit(there._replace(netloc=f"{there.username}:{there.password}@127.0.0.1:{port}"))

    async def close(self) -> None:
        """Cut every connection and stop listening."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cut every connection at once."""
        for pair in list(self._pairs):
            for writer in pair:
                writer.transport.abort()

    def cut_after(self, sent: bytes) -> None:
        """Cut once the server has answered the bytes that follow `sent`; the client gets no answer."""
        self._cut_after = sent

    def cut_within(self, sent: bytes) -> None:
        """Cut when the client sends `sent`; the server gets none of the bytes behind it."""
        self._cut_within = sent

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self._server_url.hostname, self._server_url.port)
        pair = (writer, server_writer)
        self._pairs.add(pair)
        doomed = asyncio.Event()
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(
                self._forward(reader, server_writer, doomed), self._back(server_reader, writer, doomed)
            )
        self._pairs.discard(pair)
        for end in pair:
            end.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while data := await reader.read(65536):
            if self._cut_within is not None and (at := data.find(self._cut_within)) >= 0:
                writer.write(data[: at + len(self._cut_within)])
                await writer.drain()
                self._cut_within = None
                self.cut()
                return
            if self._cut_after is not None and self._cut_after in data:
                self._cut_after = None
                doomed.set()
            writer.write(data)
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while data := await reader.read(65536):
            if doomed.is_set():
                self.cut()
                return
            writer.write(data)
        writer.close()


async def dump(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of the ledger's tables."""
    connection = await asyncpg.connect(url)
    try:
        return {
            table: [tuple(row) for row in await connection.fetch(f"SELECT * FROM ledger.{table} ORDER BY {order}")]  # noqa: S608
            for table, order in TABLES.items()
        }
    finally:
        await connection.close()


async def execute(url: str, statement: str, *values: Any) -> None:
    """Execute a statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()
