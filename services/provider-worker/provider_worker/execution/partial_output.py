"""Sends partial output to watchers: gathered for a moment, sanitized, published, not stored. Only a call's end waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from contracts.providers.call_stream import PartialOutput
from contracts.providers.orders import ExecuteOrder
from contracts.topics import PARTIALS
from messaging.errors import KafkaError
from messaging.records import Outgoing, key_of
from provider_worker.ports import Publisher
from provider_worker.sanitizer import Sanitizer

GATHER_SECONDS = 0.08
"""Short enough to look like typing, long enough that a fast model does not fill the topic."""

MOST_WAITING = 256 * 1024
"""Characters held while Kafka is unavailable; further ones are left out, and the offsets show the gap."""

_PIECE = 32 * 1024


class PartialOutputSender:
    """Publishes one call's partial text in order, at most a few times a second, until its context is left."""

    def __init__(self, order: ExecuteOrder, publisher: Publisher, sanitizer: Sanitizer) -> None:
        self._order = order
        self._publisher = publisher
        self._sanitizer = sanitizer
        self._waiting = ""
        self._offset = 0
        self._left_out = 0
        self._ending = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def add(self, text: str) -> None:
        """Take a further piece of text."""
        if self._left_out or len(self._waiting) > MOST_WAITING:
            self._left_out += len(text)
            return
        self._waiting += text
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_until_closed(), name=f"partial output {self._order.work_id}")

    async def close(self) -> None:
        """Publish the rest."""
        if self._sending is None:
            return
        self._ending.set()
        await self._sending
        self._waiting = self._sanitizer.text(self._waiting)
        await self._send(self._take(len(self._waiting)))

    async def _send_until_closed(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._ending.wait()
            # A possible beginning of a secret waits for its end. A whole secret is hidden first, since it may end as it begins.
            self._waiting = self._sanitizer.text(self._waiting)
            await self._send(self._take(len(self._waiting) - self._sanitizer.unsure_of(self._waiting)))

    def _take(self, length: int) -> str:
        ready, self._waiting = self._waiting[:length], self._waiting[length:]
        return ready

    async def _send(self, text: str) -> None:
        after = self._offset + len(text)
        with contextlib.suppress(KafkaError):  # watchers see a gap, and then the answer
            for piece in _pieces(text):
                record = self._record(piece)
                self._offset += len(piece)
                await self._publisher.try_to_send(record)
        self._offset = after
        if self._left_out:  # the left-out text followed the waiting text; a possible secret has lost its end with it
            self._offset += len(self._waiting) + self._left_out
            self._waiting, self._left_out = "", 0

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
        return Outgoing(PARTIALS.name, key_of(order.run_id), partial.model_dump_json().encode())


def _pieces(text: str) -> Iterator[str]:
    return (text[begin : begin + _PIECE] for begin in range(0, len(text), _PIECE))
