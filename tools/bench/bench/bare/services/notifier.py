"""The bare notifier: every event to every watcher, sliced from its record, a batch in one write."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any, cast

from bench.bare.kafka import batches, run
from bench.bare.settings import Settings
from contracts.topics import EVENTS
from local_stack.ports import LOOPBACK

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = b"sec-websocket-key: "
_VERSION = b'"version":'
_DATA = b',"data":'


class WatcherConnection(asyncio.Protocol):
    """One watcher. After the handshake its messages are ignored."""

    def __init__(self, watchers: set[asyncio.Transport]) -> None:
        self._watchers = watchers
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports have a base of their own

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the watcher."""
        del exc
        self._watchers.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer the handshake (RFC 6455) and send an empty snapshot."""
        if self._transport in self._watchers:
            return
        at = data.lower().index(_KEY) + len(_KEY)
        accept = base64.b64encode(hashlib.sha1(data[at : data.index(b"\r\n", at)] + _GUID).digest())  # noqa: S324 - as the RFC says
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._transport.write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + _frame(b'{"type":"SNAPSHOT"}'))
        self._watchers.add(self._transport)


def messages(record: Any) -> bytes:
    """Return the status update of an event, followed by the approval request if it opened a checkpoint."""
    value, kind = record.value, record.headers[0][1]
    begins = value.index(_VERSION) + len(_VERSION)
    version, data = value[begins : value.index(b",", begins)], value[value.index(_DATA) + len(_DATA) : -1]
    about = b'"run_id":"%b","version":%b' % (record.key, version)
    update = _frame(b'{"type":"HITL_STATUS_UPDATE",%b,"event":{"kind":"%b","data":%b}}' % (about, kind, data))
    if kind != b"checkpoint-opened.v1":
        return update
    return update + _frame(b'{"type":"HITL_APPROVAL_REQUEST",%b,"checkpoint":%b}' % (about, data))


def _frame(text: bytes) -> bytes:
    size = len(text)
    if size < 126:
        return bytes((0x81, size)) + text
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2) + text
    return b"\x81\x7f" + size.to_bytes(8) + text


async def main() -> None:
    """Push every event."""
    settings, watchers = Settings.read(), set[asyncio.Transport]()
    await asyncio.get_running_loop().create_server(
        lambda: WatcherConnection(watchers), LOOPBACK, settings.notifier_port
    )
    async for records in batches(settings.kafka, EVENTS):
        due = b"".join(map(messages, records))
        for watcher in watchers:
            watcher.write(due)


if __name__ == "__main__":
    run(main)
