"""Carrying out one order that was taken: under its lease, from its turn to its answer. What is in it is `preparing`'s and `calling`'s business."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import structlog

from chassis.failpoints import OFF, Failpoints
from chassis.routes import Rules
from contracts.providers.orders import ExecuteOrder, Order, PrepareOrder
from contracts.runs.commands import FromWorker, RecordFailure, RecordStop
from provider_worker import metrics
from provider_worker.checks.check_runner import CheckRunner
from provider_worker.execution.call import CallHandler
from provider_worker.execution.cancellation import CallStopped
from provider_worker.execution.failures import failure_of, provider_unknown, worker_lost_failure
from provider_worker.messages.answers import failed, lease_extended, prepared, returned, to_record
from provider_worker.messages.orders import log_fields, provider_of
from provider_worker.orders.claims import Claimer
from provider_worker.orders.lease import Lease
from provider_worker.ports import Artifacts, Claims, Publisher
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.base import AIProvider
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.account_queue import NotAdmitted, WorkerStopping
from provider_worker.rate_limits.admission import Admission
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.sanitizer import Sanitizer

PREPARE_SECONDS = 60.0

_log = structlog.get_logger(__name__)


def _no_turns() -> Admission:
    return Admission({}, None, CircuitBreakers())


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What orders are carried out with."""

    registry: Registry
    claims: Claims
    artifacts: Artifacts
    publisher: Publisher
    sanitizer: Sanitizer
    checks: CheckRunner = field(default_factory=CheckRunner)
    turns: Admission = field(default_factory=_no_turns)
    routes: Mapping[str, Rules] = field(default_factory=dict)
    failpoints: Failpoints = OFF


class OrderHandler:
    """Carries out orders, one call of `carry_out` each."""

    def __init__(self, dependencies: Dependencies) -> None:
        self.turns = dependencies.turns
        self.claimer = Claimer(dependencies.claims, dependencies.failpoints)
        self.preparer = Preparer(
            dependencies.registry,
            dependencies.artifacts,
            dependencies.sanitizer,
            dependencies.checks,
            dependencies.routes,
            dependencies.turns.circuits,
        )
        self.calls = CallHandler(
            dependencies.claims,
            dependencies.artifacts,
            dependencies.publisher,
            dependencies.sanitizer,
            dependencies.failpoints,
            dependencies.checks,
        )
        self._registry = dependencies.registry
        self._sanitizer = dependencies.sanitizer
        self._failpoints = dependencies.failpoints
        self._publisher = dependencies.publisher

    async def carry_out(self, order: Order) -> bool:
        """Answer an order; False when it was not begun here after all, and another may begin it."""
        provider = self._registry.find(provider_of(order))
        name = provider.name if provider else self.preparer.name_of(order)
        began = time.monotonic()
        lease = Lease(order, name, self._publisher)
        try:
            answer = await self._answer(order, provider, name, lease)
            await self._publisher.send(to_record(answer))
        except NotAdmitted as left:
            if isinstance(left, WorkerStopping):
                await self._publisher.send(returned(order, lease.until))
            else:
                await self.say_lost(order)
            metrics.orders_of(order.kind, name, "left").inc()
            return False
        finally:
            lease.let_go()
        metrics.seconds_of(order.kind, name).observe(time.monotonic() - began)
        metrics.orders_of(order.kind, name, _outcome(answer)).inc()
        return True

    async def say_taken(self, order: ExecuteOrder) -> None:
        """Say that a doubted order has a worker now, before it counts as taken: the run waits long for one, and no longer for its death."""
        if order.doubted:
            await self._publisher.send(to_record(lease_extended(order, order.provider, datetime.now(UTC), 0)))

    async def say_lost(self, order: Order) -> None:
        """Answer what was ordered again and is not to be begun, since a worker did that which nobody has heard of since."""
        if isinstance(order, ExecuteOrder) and order.doubted:
            await self._publisher.send(
                to_record(failed(order, order.provider, datetime.now(UTC), worker_lost_failure()))
            )

    async def _answer(self, order: Order, provider: AIProvider | None, name: str, lease: Lease) -> FromWorker:
        try:
            match order:
                case PrepareOrder():
                    async with asyncio.timeout(PREPARE_SECONDS):
                        preparation = await self.preparer.prepare(order)
                    return prepared(order, preparation.provider, datetime.now(UTC), preparation)
                case ExecuteOrder() if provider is None:
                    raise provider_unknown(order.provider, self._registry.names)  # noqa: TRY301 - one place makes failures
                case ExecuteOrder():
                    return await self._call(order, provider, lease)
        except NotAdmitted:
            raise
        except Exception as error:
            failure = failure_of(error, name, self._sanitizer, may_have_called=isinstance(order, ExecuteOrder))
            _log.info(
                "order failed", **log_fields(order), provider=name, code=failure.code, uncertain=failure.uncertain
            )
            return failed(order, name, datetime.now(UTC), failure)

    async def _call(self, order: ExecuteOrder, provider: AIProvider, lease: Lease) -> FromWorker:
        async with contextlib.AsyncExitStack() as stack:
            token = uuid4().hex
            its_turn = self.turns.of(order, provider, partial(self._is_ours, order, lease, token))
            try:
                turn = await self.calls.unless_stopped(order, partial(stack.enter_async_context, its_turn))
            except CallStopped:
                # Another worker may have begun it, and says what became of it.
                if self.turns.are_for(provider) and not await self._claim(order, token):
                    raise NotAdmitted from None
                return await self.calls.leave_unmade(order, provider)
            turn.answer = await self.calls.make(order, provider)
        return turn.answer

    async def _is_ours(self, order: ExecuteOrder, lease: Lease, token: str) -> bool:
        """Claim a call whose turn has come; it is no more ours to begin when its lease has run out meanwhile."""
        return await self._claim(order, token) and lease.until > self._failpoints.now()

    async def _claim(self, order: ExecuteOrder, token: str) -> bool:
        mine = await self.claimer.claim([order], token)
        if mine is None:
            raise WorkerStopping
        return bool(mine)


def _outcome(answer: FromWorker) -> str:
    match answer:
        case RecordFailure(failure=failure):
            return "uncertain" if failure.uncertain else "failed"
        case RecordStop():
            return "stopped"
    return "done"
