"""Partial output on its way to watchers: gathered for a moment, cleaned, sent on, and forgotten. No call waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from contracts.kafka import KafkaError, Outgoing
from contracts.live import PartialOutput
from contracts.topics import PARTIALS
from contracts.work import ExecuteOrder
from provider_worker.ports import Post
from provider_worker.sanitizing import Sanitizer

GATHER_SECONDS = 0.08
"""Short enough to look like typing, long enough that a fast model does not fill the topic."""

MOST_WAITING = 256 * 1024
"""Characters held while Kafka is away; what comes beyond them is left out, and the offsets show it."""

_PIECE = 32 * 1024


class Partials:
    """Sends on what one call says, in order, at most a few times a second."""

    def __init__(self, order: ExecuteOrder, post: Post, sanitizer: Sanitizer) -> None:
        self._order = order
        self._post = post
        self._sanitizer = sanitizer
        self._waiting = ""
        self._offset = 0
        self._ending = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    def hear(self, text: str) -> None:
        """Take a further piece of text."""
        if len(self._waiting) > MOST_WAITING:
            self._offset += len(text)
            return
        self._waiting += text
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_until_the_end(), name=f"partials {self._order.work_id}")

    async def close(self) -> None:
        """Send what is left. Says nothing more."""
        if self._sending is None:
            return
        self._ending.set()
        await self._sending
        await self._send(self._waiting)
        self._waiting = ""

    async def _send_until_the_end(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._ending.wait()
            # What may be the beginning of a secret waits for its end.
            ready = self._waiting[: len(self._waiting) - self._sanitizer.unsure_of(self._waiting)]
            self._waiting = self._waiting[len(ready) :]
            await self._send(ready)

    async def _send(self, text: str) -> None:
        with contextlib.suppress(KafkaError):  # whoever watches sees a gap, and then the answer
            for piece in _pieces(self._sanitizer.text(text)):
                await self._post.try_to_send(self._record(piece))
                self._offset += len(piece)

    def _record(self, text: str) -> Outgoing:
        order = self._order
        partial = PartialOutput(
            run_id=order.run_id,
            tenant=order.tenant,
            work_id=order.work_id,
            attempt=order.attempt,
            user_id=order.user_id,
            session_id=order.session_id,
            offset=self._offset,
            text=text,
        )
        return Outgoing(PARTIALS.name, str(order.run_id).encode(), partial.model_dump_json().encode())


def _pieces(text: str) -> Iterator[str]:
    return (text[begin : begin + _PIECE] for begin in range(0, len(text), _PIECE))
