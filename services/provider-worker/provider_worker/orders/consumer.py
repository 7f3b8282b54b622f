"""Takes orders from Kafka, as many at a time as there is room for.

Nothing slow stands between an order and the next: orders run side by side up to a limit, and taking waits at that limit alone. Calls that
wait for their account's limits take no room; those beyond a bound are handed back, to be ordered again.
An offset says that an order was taken, not that it was answered. An order that dies with its worker runs out of its lease.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import NamedTuple
from uuid import uuid4

import structlog

from contracts.providers.orders import ExecuteOrder, Order
from messaging.dead_letters import dead_letter
from messaging.offset_committer import SentBatch
from messaging.records import RawRecord, next_offsets
from provider_worker import metrics
from provider_worker.dependencies import Dependencies
from provider_worker.errors import WorkerStopping
from provider_worker.messages.orders import Key, RecentOrders, log_fields, order_key, read_order
from provider_worker.orders.claims import Claimer
from provider_worker.orders.order_handler import OrderHandler

_log = structlog.get_logger(__name__)


class _Divided(NamedTuple):
    """Calls that begin at once, calls that wait here for their account's limits, and, by their provider, those without room to wait."""

    at_once: list[ExecuteOrder]
    waiting: list[ExecuteOrder]
    full: dict[str, list[ExecuteOrder]]


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
        for order in fresh:
            await self._handler.report_taken(order)
        self._start([order for order in fresh if not isinstance(order, ExecuteOrder)])
        calls = {order_key(order): order for order in fresh if isinstance(order, ExecuteOrder)}
        at_once, waiting, full = self._divide(calls.values())
        self._start(waiting)
        try:
            await self._claim_and_start(at_once)
            for name, beyond in full.items():  # last: no claimed call waits for it
                await self._hand_back(beyond, self._admission.pause(name))
        except WorkerStopping:
            return False
        return True

    async def _claim_and_start(self, calls: Sequence[ExecuteOrder]) -> None:
        if not calls:
            return
        token = uuid4().hex
        mine = await self._claimer.claim(calls, token)
        # The claim may have waited for the database; by now a run may have given up.
        if late := [order for order in calls if order_key(order) in mine and self._is_late(order)]:
            await self._claimer.release(late, token)
        self._start([order for order in calls if order_key(order) in mine and order not in late])
        await self._report_lost(calls, mine)

    async def _hand_back(self, calls: Sequence[ExecuteOrder], seconds: float) -> None:
        await self._report_lost(calls, await self._handler.hand_back(calls, seconds))

    async def _report_lost(self, calls: Sequence[ExecuteOrder], mine: Collection[Key]) -> None:
        for order in calls:
            if order_key(order) not in mine:
                await self._handler.report_lost(order)

    def _divide(self, calls: Iterable[ExecuteOrder]) -> _Divided:
        divided, room = _Divided([], [], {}), dict[str, int]()
        for order in calls:
            provider = self._registry.find(order.provider)
            if provider is None or not self._admission.limits(provider):
                divided.at_once.append(order)
                continue
            left = room.setdefault(provider.name, self._admission.room_to_wait(provider.name))
            room[provider.name] = left - 1
            # A call that goes on at its provider waits: its run may be told what became of it, and not that it has not begun.
            if left > 0 or order.resume is not None:
                divided.waiting.append(order)
            else:
                divided.full.setdefault(provider.name, []).append(order)
        return divided

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
