"""Taking orders, as many at a time as there is room for. What becomes of one is `carrying`'s business.

Nothing that takes long stands between an order and the next: orders run side by side, up to a limit, and taking waits at that
limit alone. Offsets say what was taken, not what was answered; an order that dies with its worker runs out of its lease.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

import structlog

from contracts.providers.orders import ExecuteOrder, Order, PrepareOrder
from messaging.dead_letters import dead_letter
from messaging.offset_committer import SentBatch
from messaging.records import RawRecord
from provider_worker import metrics
from provider_worker.messages.orders import RecentOrders, key_of, log_fields, provider_of, read_order
from provider_worker.orders.order_handler import Dependencies, OrderHandler

MOST_WAITING = 2_000
"""Calls that may wait for their provider's limits without taking room from others; with more, taking waits."""

_log = structlog.get_logger(__name__)


class OrderConsumer:
    """Takes orders. `confirm` is told which offsets were taken; `on_broken` what no order should have raised."""

    def __init__(
        self,
        dependencies: Dependencies,
        *,
        confirm: Callable[[SentBatch], Awaitable[None]],
        on_broken: Callable[[BaseException], None],
        most: int,
    ) -> None:
        self.handler = OrderHandler(dependencies)
        self._registry = dependencies.registry
        self._publisher = dependencies.publisher
        self._failpoints = dependencies.failpoints
        self._turns = dependencies.turns
        self._confirm = confirm
        self._on_broken = on_broken
        self._most = most
        self._seen = RecentOrders()
        self._running: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._stopping = False
        # A slot that is not used is lost to all: who has one may run beside what fills the room, up to as many again.
        self._turns.serve(lambda: 2 * self._most - self._under_way(), self._room.set)
        metrics.RUNNING.set_function(self._under_way)
        metrics.WAITING.set_function(lambda: self._turns.waiting)

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take orders, as many at a time as there is room for; return when all are taken."""
        waiting = deque(records)
        while waiting:
            room = await self._wait_for_room()
            batch = [waiting.popleft() for _ in range(min(room, len(waiting)))]
            if self._stopping or not await self._begin(await self._read(batch)):
                return
            await self._confirm(SentBatch({record.partition: record.offset + 1 for record in batch}, ()))

    async def stop(self, grace: float) -> None:
        """Take nothing more; give what runs `grace` seconds, then leave it to its lease. Places are others' when this returns."""
        self._stopping = True
        self._room.set()
        self._turns.stop()
        self.handler.claimer.stop()
        if self._running:
            _, left = await asyncio.wait(self._running, timeout=grace)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._turns.leave()

    async def _wait_for_room(self) -> int:
        while self._is_full() and not self._stopping:
            self._room.clear()
            await self._room.wait()
        return self._most - self._under_way()

    def _under_way(self) -> int:
        return len(self._running) - self._turns.waiting

    def _is_full(self) -> bool:
        return self._under_way() >= self._most or self._turns.waiting >= MOST_WAITING

    async def _read(self, records: Sequence[RawRecord]) -> list[Order]:
        orders = []
        for record in records:
            try:
                orders.append(read_order(record.value or b""))
            except ValueError as error:
                _log.warning(
                    "dead letter", partition=record.partition, offset=record.offset, error=type(error).__name__
                )
                metrics.DEAD.inc()
                await self._publisher.send(dead_letter(record, error))
        return orders

    async def _begin(self, orders: Sequence[Order]) -> bool:
        """Begin what is to be begun; say whether the orders count as taken."""
        fresh = [order for order in orders if not self._seen.has(order) and not self._is_late(order)]
        self._start([order for order in fresh if isinstance(order, PrepareOrder)])
        calls = {key_of(order): order for order in fresh if isinstance(order, ExecuteOrder)}
        for order in calls.values():
            await self.handler.say_taken(order)
        self._start([calls.pop(key) for key, order in [*calls.items()] if self._waits_for_its_turn(order)])
        if not calls:
            return True
        mine = await self.handler.claimer.claim(list(calls.values()), uuid4().hex)
        if mine is None:
            return False
        # The claim may have waited for the database; by now a run may have asked otherwise.
        self._start([order for key, order in calls.items() if key in mine and not self._is_late(order)])
        for key, order in calls.items():
            if key not in mine:
                await self.handler.say_lost(order)
        return True

    def _waits_for_its_turn(self, order: Order) -> bool:
        return self._turns.are_for(self._registry.find(provider_of(order)))

    def _is_late(self, order: Order) -> bool:
        late = order.deadline <= self._failpoints.now()
        if late:
            _log.info("not begun: its deadline has passed", **log_fields(order))
            metrics.orders_of(order.kind, "unknown", "late").inc()
        return late

    def _start(self, orders: Sequence[Order]) -> None:
        for order in orders:
            if self._seen.has(order):
                continue
            self._seen.add(order)
            task = asyncio.create_task(self._carry_out(order), name=f"order {order.work_id}")
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_broken(error)

    async def _carry_out(self, order: Order) -> None:
        if not await self.handler.carry_out(order):
            self._seen.forget(order)
