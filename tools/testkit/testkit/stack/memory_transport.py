"""A connection without a network: a transport that keeps what is written to it."""

from __future__ import annotations

import asyncio


class Wire(asyncio.Transport):
    """A transport that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.ended: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.writes.append(bytes(data))

    def close(self) -> None:
        """Note the end."""
        self.ended.append("closed")

    def abort(self) -> None:
        """Note the end."""
        self.ended.append("cut")

    def is_closing(self) -> bool:
        """Say whether it was ended."""
        return bool(self.ended)


async def turn() -> None:
    """Let the loop turn once."""
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    await turned.wait()
