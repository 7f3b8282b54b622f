"""An asyncio transport in memory, for tests of writers."""

from __future__ import annotations

import asyncio


class MemoryTransport(asyncio.Transport):
    """Keeps each write and each end."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.ended: list[str] = []
        self.ended_writes = False
        self.is_reading_paused = False
        self.unread = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the write."""
        self.writes.append(bytes(data))

    def close(self) -> None:
        """Note the end."""
        self.ended.append("closed")

    def abort(self) -> None:
        """Note the end."""
        self.ended.append("cut")

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Note who reads from now on."""
        self.protocol = protocol

    def write_eof(self) -> None:
        """Note that nothing follows."""
        self.ended_writes = True

    def get_write_buffer_size(self) -> int:
        """Return what the peer has yet to read."""
        return self.unread

    def pause_reading(self) -> None:
        """Note that nothing is read."""
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        """Note that it is read on."""
        self.is_reading_paused = False

    def is_closing(self) -> bool:
        """Tell whether it was closed."""
        return bool(self.ended)


async def loop_turn() -> None:
    """Let the event loop run one iteration."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(done.set)
    await done.wait()
