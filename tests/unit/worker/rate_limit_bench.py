"""Workers on one account that has limits, with everything around them in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar

from contracts.providers.call import Failure
from contracts.providers.orders import Order
from contracts.runs.commands import RecordFailure
from messaging.offset_committer import SentBatch
from provider_worker.execution.call import CallHandler
from provider_worker.orders.consumer import OrderConsumer
from provider_worker.providers.base import Answer, Audit, Call, ProviderError
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.rate_limits.admission import Admission
from provider_worker.rate_limits.circuit_breaker import CircuitTerms
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.rate_limits.gcra import pace_of
from provider_worker.rate_limits.reservations import Rule
from provider_worker.testing.memory import MemoryClaims, MemoryPublisher
from provider_worker.testing.reservations import MemoryReservations
from provider_worker.testing.transport import MemoryRecord
from testkit.worker.bench import consumer_on, dependencies_on

ONE_A_MINUTE = Rule("acme", pace_of(1))
ONE_AT_ONCE = Rule("acme", places=1)


class ScarceProvider(SandboxProvider):
    """A provider with limits. `gate` holds its calls, `failure` ends them, `begun` are their keys."""

    name: ClassVar[str] = "scarce"
    tools: ClassVar[Mapping[str, str | None]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Failure | None = None
        self.begun: list[str] = []
        self._changed = asyncio.Event()

    def estimate_tokens(self, operation: str, payload: Mapping[str, Any]) -> int | None:
        """Estimate a hundred for all."""
        del operation, payload
        return 100

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Wait at the gate, then answer or fail."""
        self.begun.append(call.key)
        self._changed.set()
        await self.gate.wait()
        if self.failure is not None:
            raise ProviderError(self.failure)
        return await super().execute(payload, call)

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Say that thirty tokens were used."""
        audit = await super().audit_response(operation, payload, raw)
        return Audit(audit.response, audit.schema, audit.signals, {"total_tokens": 30}, Decimal(0))

    async def until_begun(self, number: int) -> None:
        """Return once so many calls were begun."""
        while len(self.begun) < number:
            self._changed.clear()
            await self._changed.wait()


@dataclass
class RateLimitBench:
    """A worker with a provider that has limits and one that has none. `failures` are exceptions that no order should raise."""

    rule: Rule
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    claims: MemoryClaims = field(default_factory=MemoryClaims)
    reservations: MemoryReservations = field(default_factory=MemoryReservations)
    circuits: CircuitBreakers = field(default_factory=lambda: CircuitBreakers(CircuitTerms(failures=2, seconds=600)))
    scarce: ScarceProvider = field(default_factory=ScarceProvider)
    taken: list[Mapping[int, int]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    workers: list[OrderConsumer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.registry = Registry([SandboxProvider(), self.scarce])
        self.admission, self.calls, self.worker = self.another()

    def another(self) -> tuple[Admission, CallHandler, OrderConsumer]:
        """Make a further worker on the same account."""
        holder, rules = f"worker-{len(self.workers)}", {"scarce": self.rule}
        admission = Admission(rules, self.reservations, self.circuits, holder, self.failures.append)
        dependencies = dependencies_on(self.publisher, self.registry, claims=self.claims, admission=admission)
        calls = CallHandler(dependencies)
        worker = consumer_on(dependencies, calls, confirm=self._confirm, on_failure=self.failures.append, most=2)
        self.workers.append(worker)
        return admission, calls, worker

    async def _confirm(self, handed: SentBatch) -> None:
        self.taken.append(handed.offsets)

    async def take(self, *orders: Order, worker: OrderConsumer | None = None) -> None:
        """Hand a worker one batch."""
        bodies = [order.model_dump_json().encode() for order in orders]
        await (worker or self.worker).on_records([MemoryRecord(body, offset) for offset, body in enumerate(bodies)])

    async def until_waiting(self, number: int) -> None:
        """Return once so many calls wait and the account was asked for them."""
        while self.admission.waiting != number or not self.reservations.asked:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)

    def told_failures(self) -> list[Failure]:
        """Return the failures that runs were told."""
        return [said.failure for said in self.publisher.commands if isinstance(said, RecordFailure)]
