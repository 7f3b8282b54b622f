"""A server that fails over, or that is reached no more: a TCP proxy which demotes, promotes and swallows."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

_NEGOTIATIONS = range(80_877_102, 80_877_105)
"""What a client may send before its startup message: a wish to cancel, for TLS, for GSSAPI."""

_READ_ONLY = b"options\0-c default_transaction_read_only=on\0"


class FailoverProxy:
    """A proxy to PostgreSQL. Sessions that begin while it is demoted stay read-only, as those of a former primary do."""

    def __init__(self, url: str) -> None:
        self._server_url = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._is_demoted = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.url = ""

    async def open(self) -> None:
        """Listen on a port of loopback; `url` is the database through the proxy."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        there = self._server_url
        self.url = urlunsplit(there._replace(netloc=f"{there.username}:{there.password}@127.0.0.1:{port}"))

    async def close(self) -> None:
        """Cut every connection and stop listening."""
        assert self._server is not None
        self._server.close()
        await self.cut()
        await self._server.wait_closed()

    async def cut(self) -> None:
        """Cut every connection at once."""
        cut = list(self._tasks)
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)

    async def demote(self) -> None:
        """Cut all sessions; new ones take no writes."""
        self._is_demoted = True
        await self.cut()

    def promote(self) -> None:
        """Let new sessions take writes again. Those that are open stay as they are."""
        self._is_demoted = False

    def swallow(self) -> None:
        """Carry nothing any more, and end nothing: connections are accepted, and no byte comes back."""
        self._flows.clear()

    def flow(self) -> None:
        """Carry again what new connections send. What was swallowed stays lost."""
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                there = await asyncio.open_connection(self._server_url.hostname, self._server_url.port)
                ends.append(there[1])
                back = asyncio.create_task(self._copy(there[0], writer))
                try:
                    await self._begin(reader, there[1])
                    await self._copy(reader, there[1])
                finally:
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
        finally:
            for end in ends:
                end.transport.abort()

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            rest = await reader.readexactly(length - 8)
            if code not in _NEGOTIATIONS and self._is_demoted:
                rest = rest[:-1] + _READ_ONLY + b"\0"
            await self._send(struct.pack("!ii", len(rest) + 8, code) + rest, writer)
            if code not in _NEGOTIATIONS:
                return

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._send(data, writer)

    async def _send(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if not self._flows.is_set():
            await asyncio.Event().wait()  # for ever: until the connection is cut, or its client leaves
        writer.write(data)
        await writer.drain()


@contextlib.asynccontextmanager
async def failover_proxy(url: str) -> AsyncIterator[FailoverProxy]:
    """Run a proxy to a database."""
    proxy = FailoverProxy(url)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
