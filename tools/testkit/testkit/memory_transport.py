"""An asyncio transport in memory, for tests of writers."""

from __future__ import annotations

import asyncio


class MemoryTransport(asyncio.Transport):
    """Keeps each write and each end."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.ended: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the write."""
        self.writes.append(bytes(data))

    def close(self) -> None:
        """Note the end."""
        self.ended.append("closed")

    def abort(self) -> None:
        """Note the end."""
        self.ended.append("cut")

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return bool(self.ended)


async def loop_turn() -> None:
    """Let the event loop run one iteration."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(done.set)
    await done.wait()
