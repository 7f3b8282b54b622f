"""Streams of fake vendors: server-sent events at the pace of typing, and the faults of streams. Knows no vendor's events.

A fault that comes in the middle (`cut`, `stream_error`, `malformed_event`, `unended`, `stall`) comes after about half of the text; with `_early`
behind its name it comes before the first word. `endless` never ends; `left_open` sends all, and never closes the connection.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import StreamingResponse

PACE = 0.03
"""Seconds between two words: fast, and still to be seen."""

_EARLY = "_early"
_MORE_THAN_COMES = {"content-length": "1000000"}
_LONG = "on and on " * 6400


@dataclass(frozen=True, slots=True)
class Script:
    """A stream's script: events before the text, one for each piece of it, events after it. `error` is the vendor's event for a failure.

    `more` makes a further event of text, for a stream that never ends.
    """

    before: Sequence[bytes]
    pieces: Sequence[bytes]
    after: Sequence[bytes]
    error: bytes
    more: Callable[[str], bytes]


def event(data: Any, name: str | None = None) -> bytes:
    """Return a server-sent event with JSON, or with text as it is."""
    said = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {said}\n\n".encode()


def words_of(text: str) -> list[str]:
    """Return a text in pieces that together are the text."""
    return re.findall(r"\s*\S+\s*$|\s*\S+", text) or [text]


def streamed(
    script: Script, fault: str | None, pace: float, gone: Callable[[], None], headers: dict[str, str] | None = None
) -> StreamingResponse:
    """Return the stream. `gone` is called when the client closes the connection before the end."""
    kind = (fault or "").removesuffix(_EARLY)
    given = {**(headers or {}), **(_MORE_THAN_COMES if kind == "cut" else {})}
    told = _watched(_told(script, kind, early=kind != fault, pace=pace), gone)
    return StreamingResponse(told, media_type="text/event-stream", headers=given)


async def _told(script: Script, fault: str, *, early: bool, pace: float) -> AsyncIterator[bytes]:
    for said in script.before:
        yield said
    half = 0 if early else (len(script.pieces) + 1) // 2
    broken = fault in ("cut", "stream_error", "malformed_event", "unended", "stall")
    for said in script.pieces[:half] if broken else script.pieces:
        await asyncio.sleep(pace)
        yield said
    match fault:
        case "cut" | "unended":
            return
        case "stream_error":
            yield script.error
            return
        case "malformed_event":
            yield event('{"type": "content')
        case "stall":
            await asyncio.Event().wait()
    while fault == "endless":
        await asyncio.sleep(pace)
        yield script.more(_LONG)
    for said in script.pieces[half:] if broken else ():
        yield said
    for said in script.after:
        yield said
    if fault == "left_open":
        await asyncio.Event().wait()


async def _watched(told: AsyncIterator[bytes], gone: Callable[[], None]) -> AsyncIterator[bytes]:
    ended = False
    try:
        async for said in told:
            yield said
        ended = True
    finally:
        if not ended:
            gone()
