"""Holds the bytes of an answer while they come: they may be paid for, should the call fail before it is read.

For both HTTP libraries that the vendors' SDKs are built on. Streams of events are held by their readers; files are not held.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

from pydantic_core import from_json

from provider_worker.providers.progress import running_call

_NOT_HELD = ("text/event-stream", "image/", "audio/", "video/", "application/octet-stream", "application/zip")


def held_by(library: ModuleType) -> Callable[[Any], Awaitable[None]]:
    """Return a response hook for clients of `library` (`httpx` or `httpx2`): the progress of the running call holds what comes."""

    class Held(library.AsyncByteStream):  # type: ignore[misc, name-defined] # one of two modules of the same shape
        def __init__(self, stream: Any, chunks: list[bytes]) -> None:
            self._stream = stream
            self._chunks = chunks

        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in self._stream:
                self._chunks.append(chunk)
                yield chunk

        async def aclose(self) -> None:
            await self._stream.aclose()

    async def hold(response: Any) -> None:
        progress = running_call.get()
        kind = response.headers.get("content-type", "").strip().lower()
        if progress is None or not response.is_success or kind.startswith(_NOT_HELD):
            return
        chunks: list[bytes] = []
        response.stream = Held(response.stream, chunks)
        progress.hold(lambda: read_as_far_as_it_came(b"".join(chunks)))

    return hold


def read_as_far_as_it_came(body: bytes) -> Any:
    """Return the JSON that bytes hold or begin, or else their text; None for none."""
    if not body.strip():
        return None
    try:
        return from_json(body, allow_partial="trailing-strings")
    except ValueError:
        return body.decode(errors="replace")
