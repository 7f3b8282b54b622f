"""Extends an order's lease while the order is carried out. Decides nothing: the run acts on a lease that runs out."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from types import TracebackType
from typing import Self

from chassis.failpoints import Now
from contracts.providers.orders import Order
from messaging.errors import KafkaError
from provider_worker.messages.answers import lease_extended, to_record
from provider_worker.messages.orders import is_doubted
from provider_worker.ports import Publisher

_SHORTEST = 0.1

SAID_AFTER_SECONDS = 1.0
"""How long an order waits before its run is told what it waits for. A shorter wait costs no event."""


class Lease:
    """Extends the lease of an order while its context is entered. `until` is how far it surely reaches.

    A timer until the first extension is due: nearly every order ends before and needs no task.
    """

    def __init__(self, order: Order, provider: str, publisher: Publisher, now: Now) -> None:
        self._order = order
        self._provider = provider
        self._publisher = publisher
        self._now = now
        # A doubted order waits long for a worker. Since it was said to be taken, its lease is the usual one.
        is_taken = is_doubted(order)
        self.until = now() + timedelta(seconds=order.lease_seconds) if is_taken else order.deadline
        self._waits_for: str | None = None
        self._said: str | None = None
        self._extending: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._plan()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._extending is not None:
            self._extending.cancel()

    def waits_for(self, what: str | None) -> None:
        """Say what the order waits for before it begins: soon if it goes on waiting, and once more when that is over."""
        self._waits_for = what
        self._plan()

    @property
    def has_run_out(self) -> bool:
        """Whether the run may have given up on the order."""
        return self.until <= self._now()

    def _plan(self) -> None:
        """Extend the lease in good time before it ends, and sooner where the run was told of another wait."""
        if self._timer is not None:
            self._timer.cancel()
        # An order that waited long in Kafka is near its deadline.
        left = (self.until - self._now()).total_seconds()
        due = max(min(self._order.lease_seconds / 3, left / 2), _SHORTEST)
        if self._said != self._waits_for:
            due = 0.0 if self._waits_for is None else min(SAID_AFTER_SECONDS, due)
        self._timer = asyncio.get_running_loop().call_later(due, self._begin)

    def _begin(self) -> None:
        # An extension that is under way plans the next one when it ends.
        if self._extending is None or self._extending.done():
            self._extending = asyncio.create_task(self._extend(), name=f"lease {self._order.work_id}")

    async def _extend(self) -> None:
        with contextlib.suppress(KafkaError):  # the next extension says the same
            now = self._now()
            answer = lease_extended(self._order, self._provider, now, self._waits_for)
            self._said = self._waits_for
            await self._publisher.try_to_send(to_record(answer))
            if self._now() < self.until:  # else the run may have read before that the lease ran out
                self.until = now + timedelta(seconds=self._order.lease_seconds)
        self._plan()
