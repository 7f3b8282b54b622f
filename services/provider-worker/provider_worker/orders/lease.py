"""Keeping an order's lease while it is carried out. Decides nothing: a lease that runs out is the run's business."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from contracts.providers.orders import ExecuteOrder, Order
from messaging.errors import KafkaError
from provider_worker.messages.answers import lease_extended, to_record
from provider_worker.ports import Publisher

_SHORTEST = 0.1


class Lease:
    """Extends the lease of an order, from now on until it is let go of. `until` is as far as it is sure to go.

    It is a timer and becomes a task when it is due, which for nearly every order is never.
    """

    def __init__(self, order: Order, provider: str, publisher: Publisher) -> None:
        self._order = order
        self._provider = provider
        self._publisher = publisher
        # A doubted order waits long for a worker; since it was said to have one, its lease is the usual.
        taken = isinstance(order, ExecuteOrder) and order.doubted
        self.until = datetime.now(UTC) + timedelta(seconds=order.lease_seconds) if taken else order.deadline
        self._said = 0
        self._saying: asyncio.Task[None] | None = None
        self._timer = self._wait()

    def let_go(self) -> None:
        """Say nothing more."""
        self._timer.cancel()
        if self._saying is not None:
            self._saying.cancel()

    def _wait(self) -> asyncio.TimerHandle:
        # An order that lay about for long is near its deadline.
        left = (self.until - datetime.now(UTC)).total_seconds()
        seconds = max(min(self._order.lease_seconds / 3, left / 2), _SHORTEST)
        return asyncio.get_running_loop().call_later(seconds, self._begin)

    def _begin(self) -> None:
        self._saying = asyncio.create_task(self._say(), name=f"lease {self._order.work_id}")

    async def _say(self) -> None:
        self._said += 1
        with contextlib.suppress(KafkaError):  # the next one will say it again
            now = datetime.now(UTC)
            answer = lease_extended(self._order, self._provider, now, self._said)
            await self._publisher.try_to_send(to_record(answer))
            if datetime.now(UTC) < self.until:  # else the run may have heard before that the lease has run out
                self.until = now + timedelta(seconds=self._order.lease_seconds)
        self._timer = self._wait()
