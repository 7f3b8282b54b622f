"""Takes orders from Kafka, as many at a time as there is room for.

Nothing slow stands between an order and the next: orders run side by side up to a limit, and taking waits at that limit alone. Calls that
wait for their account's limits take no room; those beyond a bound are handed back, to be ordered again.
An offset says that an order was taken, not that it was answered. An order that dies with its worker runs out of its lease.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import uuid4

import structlog

from contracts.providers.orders import ExecuteOrder, Order
from messaging.dead_letters import dead_letter
from messaging.offset_committer import SentBatch
from messaging.records import RawRecord, next_offsets
from provider_worker import metrics
from provider_worker.dependencies import Dependencies
from provider_worker.errors import WorkerStopping
from provider_worker.messages.orders import RecentOrders, log_fields, order_key, read_order
from provider_worker.orders.claims import Claimer
from provider_worker.orders.order_handler import OrderHandler

_log = structlog.get_logger(__name__)


class OrderConsumer:
    """Takes orders. `confirm` gets the offsets of taken batches, `on_failure` the exceptions that no order should raise."""

    def __init__(
        self,
        dependencies: Dependencies,
        handler: OrderHandler,
        claimer: Claimer,
        *,
        confirm: Callable[[SentBatch], Awaitable[None]],
        on_failure: Callable[[BaseException], None],
        most: int,
    ) -> None:
        self._registry = dependencies.registry
        self._publisher = dependencies.publisher
        self._failpoints = dependencies.failpoints
        self._admission = dependencies.admission
        self._handler = handler
        self._claimer = claimer
        self._confirm = confirm
        self._on_failure = on_failure
        self._most = most
        self._recent = RecentOrders()
        self._running: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._stopping = False
        # An unused slot is lost to all workers: calls with a slot may run beyond `most`, up to twice as many.
        self._admission.serve(lambda: 2 * self._most - self._under_way(), self._room.set)
        metrics.RUNNING.set_function(self._under_way)
        metrics.WAITING.set_function(lambda: self._admission.waiting)

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take orders, as many at a time as there is room for; return when all are taken."""
        waiting = deque(records)
        while waiting:
            room = await self._wait_for_room()
            batch = [waiting.popleft() for _ in range(min(room, len(waiting)))]
            if self._stopping or not await self._begin(await self._read(batch)):
                return
            await self._confirm(SentBatch(next_offsets(batch), ()))

    async def stop(self, grace: float) -> None:
        """Take nothing more; give running orders `grace` seconds, then leave them to their leases and give their slots back."""
        self._stopping = True
        self._room.set()
        self._admission.stop()
        self._claimer.stop()
        if self._running:
            _, left = await asyncio.wait(self._running, timeout=grace)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._admission.leave()

    async def _wait_for_room(self) -> int:
        while self._under_way() >= self._most and not self._stopping:
            self._room.clear()
            await self._room.wait()
        return self._most - self._under_way()

    def _under_way(self) -> int:
        return len(self._running) - self._admission.waiting

    async def _read(self, records: Sequence[RawRecord]) -> list[Order]:
        orders = []
        for record in records:
            try:
                orders.append(read_order(record.value or b""))
            except ValueError as error:
                place = {"partition": record.partition, "offset": record.offset}
                _log.warning("dead letter", **place, error=type(error).__name__)
                metrics.DEAD.inc()
                await self._publisher.send(dead_letter(record, error))
        return orders

    async def _begin(self, orders: Sequence[Order]) -> bool:
        """Begin the orders that are neither late nor begun before; return whether all of them count as taken."""
        fresh = [order for order in orders if order not in self._recent and not self._is_late(order)]
        self._start([order for order in fresh if not isinstance(order, ExecuteOrder)])
        calls = {order_key(order): order for order in fresh if isinstance(order, ExecuteOrder)}
        for order in calls.values():
            await self._handler.report_taken(order)
        waiting, full = self._divide(calls.values())
        self._start([calls.pop(order_key(order)) for order in waiting])
        if not calls:
            return True
        token = uuid4().hex
        try:
            mine = await self._claimer.claim(list(calls.values()), token)
        except WorkerStopping:
            return False
        # The claim may have waited for the database; by now a run may have given up.
        if late := [order for key, order in calls.items() if key in mine and self._is_late(order)]:
            await self._claimer.release(late, token)
        for order, name in full:
            # It is claimed for good: only as a new order can the call begin.
            if order_key(order) in mine and order not in late:
                await self._handler.hand_back(calls.pop(order_key(order)), name, self._admission.pause(name))
        self._start([order for key, order in calls.items() if key in mine and order not in late])
        for key, order in calls.items():
            if key not in mine:
                await self._handler.report_lost(order)
        return True

    def _divide(self, calls: Iterable[ExecuteOrder]) -> tuple[list[ExecuteOrder], list[tuple[ExecuteOrder, str]]]:
        """Return which calls wait for a slot here, and for which, by their provider's name, there is no room to wait."""
        waiting, full, room = list[ExecuteOrder](), list[tuple[ExecuteOrder, str]](), dict[str, int]()
        for order in calls:
            provider = self._registry.find(order.provider)
            if provider is None or not self._admission.limits(provider):
                continue
            left = room.setdefault(provider.name, self._admission.room_to_wait(provider.name))
            # A doubted call waits: only a worker that finds no claim on it may say that it has not begun.
            if left > 0 or order.doubted:
                waiting.append(order)
            else:
                full.append((order, provider.name))
            room[provider.name] = left - 1
        return waiting, full

    def _is_late(self, order: Order) -> bool:
        late = order.deadline <= self._failpoints.now()
        if late:
            _log.info("not begun: its deadline has passed", **log_fields(order))
            metrics.orders_of(order.kind, "unknown", "late").inc()
        return late

    def _start(self, orders: Sequence[Order]) -> None:
        for order in orders:
            if order in self._recent:
                continue
            self._recent.add(order)
            task = asyncio.create_task(self._handle(order), name=f"order {order.work_id}")
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    async def _handle(self, order: Order) -> None:
        if not await self._handler.handle(order):
            self._recent.forget(order)
