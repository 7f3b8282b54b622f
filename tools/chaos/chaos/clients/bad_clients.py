"""Bad clients: they hang up in the middle of a request, or connect and never read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


async def hang_up(url: str, target: str, said: Any, headers: Mapping[str, str], turn: int) -> None:
    """Send a request to a method and path, and break off: within its head, within its body, or before the answer."""
    body = json.dumps(said).encode()
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    place = urlsplit(url)
    head = (
        f"{target} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{more}\r\n"
    ).encode()
    whole = head + body
    sent = (whole[: len(head) // 2], whole[: len(head) + len(body) // 2], whole)[turn % 3]
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()


async def connect_and_never_read(url: str, headers: Mapping[str, str]) -> socket.socket:
    """Open a WebSocket with the smallest receive buffer, and read nothing. The caller closes it."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    place = urlsplit(url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (place.hostname, place.port))
    handshake = (
        f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
    await loop.sock_sendall(client, handshake.encode())
    return client
