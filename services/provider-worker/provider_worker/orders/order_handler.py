"""Carries out one order that was taken: under its lease, up to its answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from contracts.providers.orders import CheckOrder, ExecuteOrder, Order, PrepareOrder
from contracts.runs.commands import FromWorker, RecordFailure, RecordStop
from provider_worker import metrics
from provider_worker.dependencies import Dependencies
from provider_worker.errors import NotAdmitted, WorkerStopping
from provider_worker.execution.call import CallHandler
from provider_worker.messages.answers import checked, failed, lease_extended, not_begun, prepared, returned, to_record
from provider_worker.messages.failures import failure_of, provider_unknown, worker_lost_failure
from provider_worker.messages.orders import Key, log_fields, order_key, provider_of
from provider_worker.orders.claims import Claimer, OrderClaim
from provider_worker.orders.lease import Lease
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.base import AIProvider

PREPARE_SECONDS = 60.0

HANDED_BACK_SECONDS = 5.0
"""After how long a call is ordered again whose worker died before it could say that it had handed it back."""

_log = structlog.get_logger(__name__)


class OrderHandler:
    """Carries out orders, one call of `handle` each."""

    def __init__(self, dependencies: Dependencies, preparer: Preparer, calls: CallHandler, claimer: Claimer) -> None:
        self._registry = dependencies.registry
        self._publisher = dependencies.publisher
        self._sanitizer = dependencies.sanitizer
        self._now = dependencies.failpoints.now
        self._preparer = preparer
        self._calls = calls
        self._claimer = claimer

    async def handle(self, order: Order) -> bool:
        """Answer an order. Return False if it did not begin here and may begin elsewhere."""
        provider = self._registry.find(provider_of(order))
        name = provider.name if provider else self._preparer.name_of(order)
        began = time.monotonic()
        with Lease(order, name, self._publisher, self._now) as lease:
            claim = self._claimer.of(order, lease) if isinstance(order, ExecuteOrder) else None
            try:
                answer = await self._answer(order, provider, name, claim)
                await self._publisher.send(to_record(answer))
            except WorkerStopping:
                await _give_up(claim)
                await self._publisher.send(returned(order, lease.until))
                metrics.orders_of(order.kind, name, "left").inc()
                return False
            except NotAdmitted:
                if await _give_up(claim):
                    await self._report_unknown(order)
                else:
                    await self.report_lost(order)
                metrics.orders_of(order.kind, name, "left").inc()
                return False
        metrics.seconds_of(order.kind, name).observe(time.monotonic() - began)
        metrics.orders_of(order.kind, name, _outcome(answer)).inc()
        return True

    async def report_taken(self, order: ExecuteOrder) -> None:
        """Extend the lease of a doubted order before its offset counts as taken.

        The run waits long for a worker to take it; from now on it notices the worker's death soon.
        """
        if order.doubted:
            await self._publisher.send(to_record(lease_extended(order, order.provider, self._now(), 0)))

    async def hand_back(self, orders: Sequence[ExecuteOrder], seconds: float) -> set[Key]:
        """Have those of these calls ordered again in so many seconds that were not begun; return which. Raises WorkerStopping."""
        mine = await self._claimer.claim_to_hand_back(orders)
        given = [order for order in orders if order_key(order) in mine]
        answers = [to_record(not_begun(order, order.provider, self._now(), seconds)) for order in given]
        await asyncio.gather(*map(self._publisher.send, answers))
        for order in given:
            metrics.orders_of(order.kind, order.provider, "handed_back").inc()
        return mine

    async def report_lost(self, order: Order) -> None:
        """Fail a doubted call that another worker had claimed: its outcome is unknown. One that was handed back is handed back again."""
        if not isinstance(order, ExecuteOrder):
            return
        try:
            if await self.hand_back([order], HANDED_BACK_SECONDS):
                return
        except WorkerStopping:
            return
        await self._report_unknown(order)

    async def _report_unknown(self, order: Order) -> None:
        if isinstance(order, ExecuteOrder) and order.doubted:
            answer = failed(order, order.provider, self._now(), worker_lost_failure())
            await self._publisher.send(to_record(answer))

    async def _answer(
        self, order: Order, provider: AIProvider | None, name: str, claim: OrderClaim | None
    ) -> FromWorker:
        try:
            match order:
                case PrepareOrder():
                    async with asyncio.timeout(PREPARE_SECONDS):
                        preparation = await self._preparer.prepare(order)
                    return prepared(order, preparation.provider, self._now(), preparation)
                case CheckOrder() | ExecuteOrder() if provider is None:
                    raise provider_unknown(order.provider, self._registry.names)  # noqa: TRY301 - one place makes failures
                case CheckOrder():
                    async with asyncio.timeout(PREPARE_SECONDS):
                        facts = await self._preparer.check(order, provider)
                    return checked(order, provider.name, self._now(), facts)
                case ExecuteOrder():
                    assert claim is not None, "a call is claimed"
                    return await self._calls.make(order, provider, claim)
        except NotAdmitted:
            raise
        except Exception as error:
            failure = failure_of(error, name, self._sanitizer, may_have_called=isinstance(order, ExecuteOrder))
            fields = {"provider": name, "code": failure.code, "uncertain": failure.uncertain}
            _log.info("order failed", **log_fields(order), **fields)
            return failed(order, name, self._now(), failure)


async def _give_up(claim: OrderClaim | None) -> bool:
    """Release a call that was claimed when its moment passed: no worker could begin it then. Return whether it was."""
    return claim is not None and await claim.release()


def _outcome(answer: FromWorker) -> str:
    match answer:
        case RecordFailure(failure=failure):
            return "uncertain" if failure.uncertain else "failed"
        case RecordStop():
            return "stopped"
    return "done"
