"""Taking orders and answering them. What is in an order is `preparing`'s and `executing`'s business.

Nothing that takes long stands between an order and the next: orders run side by side, up to a limit, and taking waits at that
limit alone. Offsets say what was taken, not what was answered; an order that dies with its worker runs out of its lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import structlog

from chassis.failpoints import OFF, Failpoints
from contracts.kafka import Handed, RawRecord, dead_letter
from contracts.runs.commands import FromWorker, RecordFailure
from contracts.work import ExecuteOrder, Order, PrepareOrder
from provider_worker import metrics
from provider_worker.answers import executed, failed, noted, prepared, to_record
from provider_worker.executing import execute
from provider_worker.failures import failure_of, provider_unknown
from provider_worker.leases import Lease
from provider_worker.orders import Key, Seen, key_of, label, provider_of, read_order
from provider_worker.ports import Claims, Post, Shelves, StorageUnavailable
from provider_worker.preparing import prepare
from provider_worker.providers.base import AIProvider
from provider_worker.providers.registry import Registry
from provider_worker.sanitizing import Sanitizer

PREPARE_SECONDS = 60.0
_LONGEST_PAUSE = 5.0

_log = structlog.get_logger(__name__)


class Worker:
    """Carries out orders. `confirm` is told which offsets were taken; `on_broken` what no order should have raised."""

    def __init__(
        self,
        registry: Registry,
        claims: Claims,
        shelves: Shelves,
        post: Post,
        sanitizer: Sanitizer,
        *,
        confirm: Callable[[Handed], Awaitable[None]],
        on_broken: Callable[[BaseException], None],
        most: int,
        failpoints: Failpoints = OFF,
    ) -> None:
        self._registry = registry
        self._claims = claims
        self._shelves = shelves
        self._post = post
        self._sanitizer = sanitizer
        self._confirm = confirm
        self._on_broken = on_broken
        self._most = most
        self._failpoints = failpoints
        self._seen = Seen()
        self._running: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        metrics.RUNNING.set_function(lambda: len(self._running))

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take orders, as many at a time as there is room for; return when all are taken."""
        waiting = deque(records)
        while waiting:
            room = await self._wait_for_room()
            batch = [waiting.popleft() for _ in range(min(room, len(waiting)))]
            if self._stopping.is_set() or not await self._begin(await self._read(batch)):
                return
            await self._confirm(Handed({record.partition: record.offset + 1 for record in batch}, ()))

    async def stop(self, grace: float) -> None:
        """Take nothing more; give what runs `grace` seconds, then leave it to its lease."""
        self._stopping.set()
        self._room.set()
        if self._running:
            _, left = await asyncio.wait(self._running, timeout=grace)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _wait_for_room(self) -> int:
        while len(self._running) >= self._most and not self._stopping.is_set():
            self._room.clear()
            await self._room.wait()
        return self._most - len(self._running)

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
                await self._post.send(dead_letter(record, error))
        return orders

    async def _begin(self, orders: Sequence[Order]) -> bool:
        """Begin what is to be begun; say whether the orders count as taken."""
        fresh = [order for order in orders if not self._seen.has(order) and not self._is_late(order)]
        self._start([order for order in fresh if isinstance(order, PrepareOrder)])
        calls = {key_of(order): order for order in fresh if isinstance(order, ExecuteOrder)}
        if not calls:
            return True
        mine = await self._claim(list(calls.values()))
        if mine is None:
            return False
        # The claim may have waited for the database; by now a run may have asked otherwise.
        self._start([order for key, order in calls.items() if key in mine and not self._is_late(order)])
        return True

    async def _claim(self, orders: Sequence[ExecuteOrder]) -> set[Key] | None:
        """Return which calls are ours to begin, however long the database is away; None when the worker stops first."""
        pause, token = 0.1, uuid4().hex
        while True:
            try:
                mine = await self._claims.claim(orders, token)
            except StorageUnavailable as error:
                _log.warning("waiting for the database", reason=str(error), orders=len(orders))
            else:
                self._failpoints.reached("work.claimed")
                return mine
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                    return None
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _is_late(self, order: Order) -> bool:
        late = order.deadline <= self._failpoints.now()
        if late:
            _log.info("not begun: its deadline has passed", **label(order))
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
        provider = self._registry.find(provider_of(order))
        name = provider.name if provider else "unknown"
        began = time.monotonic()
        lease = Lease(order, name, self._post)
        try:
            answer = await self._answer(order, provider, name)
            await self._post.send(to_record(answer))
        finally:
            lease.let_go()
        metrics.seconds_of(order.kind, name).observe(time.monotonic() - began)
        metrics.orders_of(order.kind, name, _outcome(answer)).inc()

    async def _answer(self, order: Order, provider: AIProvider | None, name: str) -> FromWorker:
        try:
            if provider is None:
                raise provider_unknown(provider_of(order), self._registry.names)  # noqa: TRY301 - one place makes failures
            match order:
                case PrepareOrder():
                    async with asyncio.timeout(PREPARE_SECONDS):
                        preparation = await prepare(order, provider, self._registry, self._shelves, self._sanitizer)
                    return prepared(order, name, datetime.now(UTC), preparation)
                case ExecuteOrder():
                    shelf = self._shelves.of(order.tenant)
                    execution = await execute(
                        order,
                        provider,
                        shelf,
                        self._sanitizer,
                        partial(self._note, order, name),
                        reached=self._failpoints.reached,
                    )
                    self._failpoints.reached("work.called")
                    metrics.cost_of(name).inc(max(0.0, float(execution.cost or 0)))
                    return executed(order, name, datetime.now(UTC), execution)
        except Exception as error:
            failure = failure_of(error, name, self._sanitizer, may_have_called=isinstance(order, ExecuteOrder))
            _log.info("order failed", **label(order), provider=name, code=failure.code, uncertain=failure.uncertain)
            return failed(order, name, datetime.now(UTC), failure)

    async def _note(self, order: ExecuteOrder, name: str, provider_call_id: str) -> None:
        await self._post.send(to_record(noted(order, name, datetime.now(UTC), provider_call_id)))
        self._failpoints.reached("work.noted")


def _outcome(answer: FromWorker) -> str:
    if isinstance(answer, RecordFailure):
        return "uncertain" if answer.failure.uncertain else "failed"
    return "done"
