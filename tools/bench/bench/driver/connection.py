"""The load driver's HTTP connection: kept open, one request at a time. It must cost less than the measured services."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic_core import from_json, to_json

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


def head_of(key: str | None) -> str:
    """Return the line of a request's head that brings a key; nothing without one."""
    return "" if key is None else f"Authorization: Bearer {key}\r\n"


class Unexpected(Exception):
    """The gateway gave another answer than the work needs."""


class Connection(asyncio.Protocol):
    """One connection to the gateway; reopened when the gateway closed it between requests."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._host = url.removeprefix("http://")
        self._head = f"Host: {self._host}\r\n{head_of(key)}"
        self._received = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    async def get(self, path: str) -> dict[str, Any]:
        """Return the JSON at `path`. Raises Unexpected."""
        return await self._ask(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode(), 200)

    async def post(self, path: str, body: Any, status: int = 200) -> dict[str, Any]:
        """Post `body` and return the answer. Raises Unexpected unless it comes with `status`."""
        content = to_json(body)
        head = (
            f"POST {path} HTTP/1.1\r\n{self._head}"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return await self._ask(head.encode() + content, status)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    async def _ask(self, request: bytes, status: int) -> dict[str, Any]:
        if self._transport is None:
            host, _, port = self._host.rpartition(":")
            await asyncio.get_running_loop().create_connection(lambda: self, host, int(port))
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(request)
        answered, content = await self._answer
        if answered != status:
            raise Unexpected(f"{request.split(b' HTTP', 1)[0].decode()}: {answered} {content.decode()[:500]}")
        return dict(from_json(content))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Resolve the request once its whole body is received."""
        self._received += data
        end = self._received.find(_END)
        if end < 0:
            return
        head = self._received[:end].lower()
        at = head.index(_LENGTH) + len(_LENGTH)
        length = int(head[at:].split(b"\r\n", 1)[0])
        whole = end + len(_END) + length
        if len(self._received) >= whole and self._answer is not None and not self._answer.done():
            content, self._received = self._received[end + len(_END) : whole], self._received[whole:]
            self._answer.set_result((int(head[9:12]), content))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request in progress."""
        self._transport, self._received = None, b""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the gateway hung up"))
