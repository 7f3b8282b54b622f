"""Carries out one order that was taken: under its lease, up to its answer."""

from __future__ import annotations

import asyncio
import time

import structlog

from contracts.providers.orders import CheckOrder, ExecuteOrder, Order, PrepareOrder
from contracts.runs.commands import FromWorker, RecordFailure, RecordStop
from provider_worker import metrics
from provider_worker.dependencies import Dependencies
from provider_worker.errors import NotAdmitted, WorkerStopping
from provider_worker.execution.call import CallHandler
from provider_worker.messages.answers import checked, failed, lease_extended, not_begun, prepared, returned, to_record
from provider_worker.messages.failures import failure_of, provider_unknown, worker_lost_failure
from provider_worker.messages.orders import log_fields, provider_of
from provider_worker.orders.claims import Claimer, OrderClaim
from provider_worker.orders.lease import Lease
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.base import AIProvider

PREPARE_SECONDS = 60.0

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
                await _give_up(claim)
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

    async def hand_back(self, order: ExecuteOrder, name: str, seconds: float) -> None:
        """Have a call of provider `name` ordered again in so many seconds, which this worker has claimed and not begun."""
        await self._publisher.send(to_record(not_begun(order, name, self._now(), seconds)))
        metrics.orders_of(order.kind, name, "handed_back").inc()

    async def report_lost(self, order: Order) -> None:
        """Fail a doubted call that another worker had claimed: its outcome is unknown."""
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


async def _give_up(claim: OrderClaim | None) -> None:
    # It may have been claimed when its moment passed: no worker could begin it then.
    if claim is not None:
        await claim.release()


def _outcome(answer: FromWorker) -> str:
    match answer:
        case RecordFailure(failure=failure):
            return "uncertain" if failure.uncertain else "failed"
        case RecordStop():
            return "stopped"
    return "done"
