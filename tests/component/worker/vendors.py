"""Servers that behave badly below HTTP, one that answers as it is told, and a failure's outcome in one word."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contracts.providers.call import Failure


class Scripted:
    """A server that answers everything with one answer."""

    def __init__(self) -> None:
        self.calls = 0
        self.paths: list[str] = []
        self.answer: Callable[[], Response] = Response

    def app(self) -> Starlette:
        """Return the server as an ASGI application."""

        async def say(request: Request) -> Response:
            self.calls += 1
            self.paths.append(request.url.path)
            return self.answer()

        return Starlette(routes=[Route("/{path:path}", say, methods=["GET", "POST"])])


def outcome_of(failure: Failure) -> str:
    """Say what becomes of a call: `failed`, `retryable`, or `uncertain`, when it may have happened."""
    if failure.uncertain:
        return "uncertain"
    return "retryable" if failure.retryable else "failed"


def nobody_listening() -> str:
    """Return an address on loopback without a server."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@contextlib.asynccontextmanager
async def hanging_up() -> AsyncIterator[str]:
    """Serve an address at which every request is read and none is answered: the connection is closed."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()
