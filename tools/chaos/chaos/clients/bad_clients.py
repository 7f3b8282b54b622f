"""Bad clients: they hang up in the middle of a request, or connect and never read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from urllib.parse import urlsplit

from chaos.clients.stories import Request


async def hang_up(url: str, path: str, request: Request, turn: int) -> None:
    """Send a request and break off: within its head, within its body, or before the answer."""
    body = json.dumps(request.body).encode()
    place = urlsplit(url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nIdempotency-Key: {request.key}\r\n\r\n"
    ).encode()
    whole = head + body
    sent = (whole[: len(head) // 2], whole[: len(head) + len(body) // 2], whole)[turn % 3]
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()


async def connect_and_never_read(url: str, query: str) -> socket.socket:
    """Open a WebSocket with the smallest receive buffer, and read nothing. The caller closes it."""
    place = urlsplit(url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (place.hostname, place.port))
    handshake = (
        f"GET {place.path}?{query} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(client, handshake.encode())
    return client
