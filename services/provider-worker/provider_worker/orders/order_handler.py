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
from provider_worker.messages.answers import (
    checked,
    failed,
    lease_extended,
    not_begun,
    prepared,
    returned,
    to_record,
)
from provider_worker.messages.failures import failure_of, provider_unknown, worker_lost_failure
from provider_worker.messages.orders import Key, is_doubted, log_fields, order_key, provider_of
from provider_worker.orders.call_in_one import CallInOne
from provider_worker.orders.claims import Claimer, OrderClaim
from provider_worker.orders.lease import Lease
from provider_worker.preparation.prepare import Preparer

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
        self._call_in_one = CallInOne(dependencies)

    async def handle(self, order: Order) -> bool:
        """Answer an order. Return False if it did not begin here and may begin elsewhere."""
        with Lease(order, self._name_of(order), self._publisher, self._now) as lease:
            claim = None if isinstance(order, CheckOrder) else self._claimer.of(order, lease)
            return await self._carry_out(order, claim, lease)

    async def _carry_out(self, order: Order, claim: OrderClaim | None, lease: Lease) -> bool:
        name, began, is_answered = self._name_of(order), time.monotonic(), False
        try:
            answer = await self._answer(order, name, claim)
            call, told = await self._call_in_one.after(order, answer)
            if isinstance(order, PrepareOrder) and order.calls_at_once:
                # One worker answers, whatever the answer is: another may have said something else, and be calling.
                await _claim(claim)
            is_answered = call is None
            await self._publisher.send(told)  # from here on the run's log holds what is called
        except WorkerStopping:
            await _give_up(claim)
            await self._publisher.send(returned(order, lease.until))
            metrics.orders_of(order.kind, name, "left").inc()
            return False
        except asyncio.CancelledError:
            # Nothing was called under it yet. But an answer that may have arrived stays this worker's: another one could say something else.
            if isinstance(order, PrepareOrder) and not is_answered:
                await _give_up(claim)
            raise
        except NotAdmitted:
            if await _give_up(claim):
                await self._report_unknown(order)
            else:
                await self.report_lost(order)
            metrics.orders_of(order.kind, name, "left").inc()
            return False
        metrics.seconds_of(order.kind, name).observe(time.monotonic() - began)
        metrics.orders_of(order.kind, name, _outcome(answer)).inc()
        if call is None:
            return True
        if lease.has_run_out:  # while Kafka did not answer: the run may not know of the call
            await self._publisher.send(to_record(not_begun(call, call.provider, self._now())))
            return True
        return await self._carry_out(call, claim, lease)

    async def report_taken(self, order: Order) -> None:
        """Extend the lease of a doubted order before its offset counts as taken.

        The run waits long for a worker to take it; from now on it notices the worker's death soon.
        """
        if is_doubted(order):
            await self._publisher.send(to_record(lease_extended(order, provider_of(order), self._now())))

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
        if isinstance(order, ExecuteOrder):
            try:
                if await self.hand_back([order], HANDED_BACK_SECONDS):
                    return
            except WorkerStopping:
                return
        await self._report_unknown(order)

    async def _report_unknown(self, order: Order) -> None:
        if is_doubted(order):
            answer = failed(order, provider_of(order), self._now(), worker_lost_failure())
            await self._publisher.send(to_record(answer))

    def _name_of(self, order: Order) -> str:
        provider = self._registry.find(provider_of(order))
        return provider.name if provider else self._preparer.name_of(order)

    async def _answer(self, order: Order, name: str, claim: OrderClaim | None) -> FromWorker:
        provider = self._registry.find(provider_of(order))
        try:
            match order:
                case PrepareOrder():
                    if order.doubted and claim is not None and not await claim.take():
                        raise NotAdmitted  # noqa: TRY301 - one place says what became of orders
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
        except (NotAdmitted, WorkerStopping):
            raise
        except Exception as error:
            failure = failure_of(error, name, self._sanitizer, may_have_called=isinstance(order, ExecuteOrder))
            fields = {"provider": name, "code": failure.code, "uncertain": failure.uncertain}
            _log.info("order failed", **log_fields(order), **fields)
            return failed(order, name, self._now(), failure)


async def _claim(claim: OrderClaim | None) -> None:
    """Claim the call that is made in one with its preparation. Raises NotAdmitted where it is not ours, or its run may have given up."""
    if claim is None or not await claim.may_begin():
        raise NotAdmitted


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
