"""Carries out one call from its slot to its answer, and ends calls whose runs were cancelled."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import structlog

from contracts.providers.call import Ending, Spent
from contracts.providers.call_stream import HoldCall, StopCall
from contracts.providers.orders import ExecuteOrder
from contracts.runs.commands import FromWorker
from provider_worker import metrics
from provider_worker.dependencies import Dependencies
from provider_worker.errors import CallStopped
from provider_worker.execution.cancellation import Cancellations
from provider_worker.execution.execute import CallContext, execute
from provider_worker.execution.partial_output import PartialOutputSender
from provider_worker.messages.answers import executed, not_begun, noted, stopped, to_record
from provider_worker.messages.failures import log_bug
from provider_worker.messages.orders import log_fields, order_key
from provider_worker.providers.base import AIProvider, ProviderError
from provider_worker.providers.progress import Progress, Unfinished
from provider_worker.rate_limits.admission import Claim

STOP_SECONDS = 30.0
"""How long a provider may take to end a call."""

_log = structlog.get_logger(__name__)


class CallHandler:
    """Makes calls, and ends those whose runs were cancelled."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._claims = dependencies.claims
        self._artifacts = dependencies.artifacts
        self._publisher = dependencies.publisher
        self._sanitizer = dependencies.sanitizer
        self._checks = dependencies.checks
        self._budgets = dependencies.budgets
        self._admission = dependencies.admission
        self._reached = dependencies.failpoints.reached
        self._now = dependencies.failpoints.now
        self._cancellations = Cancellations()

    async def make(self, order: ExecuteOrder, provider: AIProvider, claim: Claim) -> FromWorker:
        """Make the call of `order` and return the answer to the run.

        Raises NotAdmitted and ProviderError; DatabaseUnavailable only before the provider was asked.
        """
        artifacts = self._artifacts.of(order.tenant)
        partial_output = PartialOutputSender(order, self._publisher, self._sanitizer)
        context = self._context(order, provider, partial_output)
        try:
            async with self._admission.slot(order, provider, claim, context.cancellation) as slot:
                try:
                    async with partial_output, self._budgets.charge(order, provider) as charge:
                        execution = await execute(order, provider, artifacts, self._sanitizer, context)
                        charge.cost, slot.usage = execution.cost, execution.usage
                except ProviderError as error:
                    metrics.cost_of(provider.name).inc(max(0.0, float(error.failure.known_cost or 0)))
                    raise
                except CallStopped:  # the slot is held until the provider has ended the call
                    return await self._stopped(order, provider, context)
        except CallStopped:  # while it waited for its slot
            return await self._stopped(order, provider, context)
        self._reached("work.called")
        metrics.cost_of(provider.name).inc(max(0.0, float(execution.cost or 0)))
        return executed(order, provider.name, self._now(), execution)

    def hold(self, hold: HoldCall) -> None:
        """Give the order of a call back that has not begun, now or when it comes."""
        self._cancellations.hold(order_key(hold))

    async def stop(self, stop: StopCall, provider: AIProvider | None, token: str) -> None:
        """End a call: here if it runs here, else at the provider if that is one of ours and knows the call by an id.

        Idempotent for the same `token`. Raises DatabaseUnavailable.
        """
        if self._cancellations.stop(order_key(stop)) or stop.provider_call_id is None or provider is None:
            return
        # Every worker reads every stop; one of them ends the call.
        ending = stop.changed({"work_id": f"stop:{stop.work_id}"})
        if await self._claims.claim([ending], token):
            unfinished = Unfinished(stop.operation, stop.model, provider_call_id=stop.provider_call_id)
            spent = await self._end_at_provider(provider, unfinished)
            await self._budgets.settle_last(stop, spent.cost)
            await self._publisher.send(to_record(stopped(stop, provider.name, self._now(), Ending.STOPPED, spent)))

    def _context(self, order: ExecuteOrder, provider: AIProvider, partial_output: PartialOutputSender) -> CallContext:
        async def note(provider_call_id: str) -> None:
            context.provider_call_id = provider_call_id
            await self._publisher.send(to_record(noted(order, provider.name, self._now(), provider_call_id)))
            self._reached("work.noted")

        context = CallContext(
            note,
            Progress(partial_output.add),
            self._cancellations.of(order_key(order), lambda: context.begun),
            self._checks,
            self._reached,
            provider_call_id=order.resume,
        )
        return context

    async def _stopped(self, order: ExecuteOrder, provider: AIProvider, context: CallContext) -> FromWorker:
        _log.info("stopped: its run was cancelled or paused", **log_fields(order), provider=provider.name)
        if not context.begun and order.resume is None:
            await self._budgets.settle(order, Decimal(0))
            return not_begun(order, provider.name, self._now())
        progress, call_id = context.progress, context.provider_call_id
        unfinished = Unfinished(
            order.operation, order.model, order.payload, progress.characters, progress.usage, call_id
        )
        spent = await self._end_at_provider(provider, unfinished)
        await self._budgets.settle(order, spent.cost)
        metrics.cost_of(provider.name).inc(max(0.0, float(spent.cost or 0)))
        return stopped(order, provider.name, self._now(), Ending.STOPPED, spent)

    async def _end_at_provider(self, provider: AIProvider, call: Unfinished) -> Spent:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                spent = await provider.stop(call)
        except Exception as error:  # the cost is recorded as unknown then
            log_bug(error, provider.name, self._sanitizer)
            return Spent()
        return spent.model_copy(update={"usage": self._sanitizer.json(spent.usage)})
