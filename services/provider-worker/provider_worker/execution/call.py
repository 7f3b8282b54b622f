"""Making one call, with what goes on beside it: partial text goes out, the provider's id of it is noted, the wish to stop comes in.

What is in the order and in the answer is `executing`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

import structlog

from chassis.failpoints import OFF, Failpoints
from contracts.providers.call import Ending, Spent
from contracts.providers.call_stream import StopCall
from contracts.providers.orders import ExecuteOrder
from contracts.runs.commands import FromWorker
from provider_worker import metrics
from provider_worker.checks.check_runner import CheckRunner
from provider_worker.execution.cancellation import CallStopped, Cancellations
from provider_worker.execution.execute import CallContext, execute
from provider_worker.execution.failures import log_bug
from provider_worker.execution.partial_output import PartialOutputSender
from provider_worker.messages.answers import ended, executed, not_begun, noted, to_record
from provider_worker.messages.orders import key_of, log_fields
from provider_worker.ports import Artifacts, Claims, Publisher
from provider_worker.providers.base import AIProvider
from provider_worker.providers.progress import Progress, Unfinished
from provider_worker.sanitizer import Sanitizer

_T = TypeVar("_T")

STOP_SECONDS = 30.0
"""How long a provider may take to be told that a call is over."""

_log = structlog.get_logger(__name__)


class CallHandler:
    """Makes calls, and ends those whose runs were cancelled."""

    def __init__(
        self,
        claims: Claims,
        artifacts: Artifacts,
        publisher: Publisher,
        sanitizer: Sanitizer,
        failpoints: Failpoints = OFF,
        checks: CheckRunner | None = None,
    ) -> None:
        self._claims = claims
        self._artifacts = artifacts
        self._publisher = publisher
        self._sanitizer = sanitizer
        self._failpoints = failpoints
        self._checks = checks or CheckRunner()
        self._cancellations = Cancellations()

    async def unless_stopped(self, order: ExecuteOrder, wait: Callable[[], Awaitable[_T]]) -> _T:
        """Return what a call waits for before it begins. Raises Stopped when its run is cancelled meanwhile."""
        return await self._cancellations.unless_wanted(key_of(order), wait)

    async def make(self, order: ExecuteOrder, provider: AIProvider) -> FromWorker:
        """Make the call and return the answer. Raises ProviderError and StorageUnavailable."""
        partial_output = PartialOutputSender(order, self._publisher, self._sanitizer)
        live = _Live(order, provider.name, Progress(partial_output.hear), self._publisher, self._failpoints)

        async def guard(begin: Callable[[], Awaitable[_T]]) -> _T:
            return await self._cancellations.unless_wanted(key_of(order), partial(live.begin, begin))

        around = CallContext(live.note, live.progress, guard, self._checks)
        try:
            artifacts = self._artifacts.of(order.tenant)
            call = partial(execute, order, provider, artifacts, self._sanitizer, around, self._failpoints.reached)
            execution = await self._checks.cost.charged(order, provider, call)
        except CallStopped:
            _log.info("stopped: its run was cancelled", **log_fields(order), provider=provider.name)
            return await self._ended(order, provider, live.unfinished() if live.begun else None)
        finally:
            await partial_output.close()
        self._failpoints.reached("work.called")
        metrics.cost_of(provider.name).inc(max(0.0, float(execution.cost or 0)))
        return executed(order, provider.name, datetime.now(UTC), execution)

    async def stop(self, stop: StopCall, provider: AIProvider, token: str) -> None:
        """End a call: here if it is made here, else at the provider if that knows it by an id.

        Raises StorageUnavailable; said again with the same `token`, it goes on.
        """
        if self._cancellations.want(key_of(stop)) or stop.provider_call_id is None:
            return
        # Every worker hears of it, and one is enough.
        mine = stop.changed({"work_id": f"stop:{stop.work_id}"})
        if await self._claims.claim([mine], token):
            unfinished = Unfinished(stop.operation, stop.model, provider_call_id=stop.provider_call_id)
            spent = await self._spent(provider, unfinished)
            await self._checks.cost.correct_left_behind(stop, spent.cost)
            await self._publisher.send(to_record(ended(stop, provider.name, datetime.now(UTC), Ending.STOPPED, spent)))

    async def leave_unmade(self, order: ExecuteOrder, provider: AIProvider) -> FromWorker:
        """Answer an order whose call is not made, since its run was cancelled; one that an earlier attempt made is ended at the provider."""
        return await self._ended(order, provider, None)

    async def _ended(self, order: ExecuteOrder, provider: AIProvider, call: Unfinished | None) -> FromWorker:
        if call is None and order.resume is None:
            await self._checks.cost.correct(order, Decimal(0))
            return not_begun(order, provider.name, datetime.now(UTC))
        call = call or Unfinished(order.operation, order.model, order.payload, provider_call_id=order.resume)
        spent = await self._spent(provider, call)
        await self._checks.cost.correct(order, spent.cost)
        metrics.cost_of(provider.name).inc(max(0.0, float(spent.cost or 0)))
        return ended(order, provider.name, datetime.now(UTC), Ending.STOPPED, spent)

    async def _spent(self, provider: AIProvider, call: Unfinished) -> Spent:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                spent = await provider.stop(call)
        except Exception as error:  # what was spent is not known then, and that is recorded
            log_bug(error, provider.name, self._sanitizer)
            return Spent()
        return spent.model_copy(update={"usage": self._sanitizer.json(spent.usage)})


class _Live:
    """What becomes known of a call while it is made."""

    def __init__(
        self, order: ExecuteOrder, provider: str, progress: Progress, publisher: Publisher, failpoints: Failpoints
    ) -> None:
        self.progress = progress
        self.begun = False
        self._order = order
        self._provider = provider
        self._publisher = publisher
        self._failpoints = failpoints
        self._call_id = order.resume

    def begin(self, begin: Callable[[], Awaitable[_T]]) -> Awaitable[_T]:
        """Make the call, and remember that it was made."""
        self.begun = True
        return begin()

    async def note(self, provider_call_id: str) -> None:
        """Record the provider's id of the call; return when that is safe."""
        self._call_id = provider_call_id
        await self._publisher.send(to_record(noted(self._order, self._provider, datetime.now(UTC), provider_call_id)))
        self._failpoints.reached("work.noted")

    def unfinished(self) -> Unfinished:
        """Return what is known of the call, which has ended early."""
        order, progress = self._order, self.progress
        return Unfinished(
            order.operation, order.model, order.payload, progress.characters, progress.usage, self._call_id
        )
