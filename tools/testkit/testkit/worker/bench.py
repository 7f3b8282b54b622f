"""A worker with everything around it in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.providers.orders import Order
from messaging.offset_committer import SentBatch
from provider_worker.budgets.gate import BudgetGate
from provider_worker.budgets.model import BudgetRules
from provider_worker.dependencies import Dependencies
from provider_worker.execution.call import CallHandler
from provider_worker.orders.claims import Claimer
from provider_worker.orders.consumer import OrderConsumer
from provider_worker.orders.order_handler import OrderHandler
from provider_worker.ports import Publisher
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.budgets import MemoryBudgets
from provider_worker.testing.memory import MemoryArtifacts, MemoryClaims, MemoryPublisher
from provider_worker.testing.transport import MemoryRecord

SECRET = "sk-a-very-secret-key"  # noqa: S105 - it is one in name only


class OwnClaim:
    """Implements `rate_limits.admission.Claim`: the call is ours."""

    def waits_for(self, what: str | None) -> None:
        """Tell no run."""

    async def take(self) -> bool:
        """Say so."""
        return True

    async def may_begin(self) -> bool:
        """Say so."""
        return True


def dependencies_on(publisher: Publisher | None = None, registry: Registry | None = None, **given: Any) -> Dependencies:
    """Make dependencies in memory, one secret known; `given` are other members."""
    usual: dict[str, Any] = {
        "registry": registry or Registry([SandboxProvider()]),
        "claims": MemoryClaims(),
        "artifacts": MemoryArtifacts(),
        "publisher": publisher or MemoryPublisher(),
        "sanitizer": Sanitizer([SECRET]),
        "budgets": BudgetGate(BudgetRules(), MemoryBudgets()),
    }
    return Dependencies(**{**usual, **given})


def consumer_on(
    dependencies: Dependencies,
    calls: CallHandler,
    *,
    confirm: Callable[[SentBatch], Awaitable[None]],
    on_failure: Callable[[BaseException], None],
    most: int,
) -> OrderConsumer:
    """Make a consumer of orders."""
    registry, sanitizer = dependencies.registry, dependencies.sanitizer
    preparer = Preparer(registry, dependencies.artifacts, sanitizer, dependencies.checks)
    claimer = Claimer(dependencies.claims, dependencies.failpoints)
    handler = OrderHandler(dependencies, preparer, calls, claimer)
    return OrderConsumer(dependencies, handler, claimer, confirm=confirm, on_failure=on_failure, most=most)


@dataclass
class WorkerBench:
    """A worker with everything around it in memory. `failures` are exceptions that no order should raise."""

    provider: SandboxProvider
    most: int = 4
    claims: MemoryClaims = field(default_factory=MemoryClaims)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    taken: list[Mapping[int, int]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    given: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.worker = self.another()

    def another(self) -> OrderConsumer:
        """Make a further worker on the same claims and topics."""
        registry, ports = Registry([self.provider]), {"claims": self.claims, "artifacts": self.artifacts}
        dependencies = dependencies_on(self.publisher, registry, **ports, **self.given)
        return consumer_on(
            dependencies,
            CallHandler(dependencies),
            confirm=self._confirm,
            on_failure=self.failures.append,
            most=self.most,
        )

    async def _confirm(self, handed: SentBatch) -> None:
        self.taken.append(handed.offsets)

    async def take(self, *orders: Order | bytes, worker: OrderConsumer | None = None) -> None:
        """Hand the worker one batch."""
        bodies = [order if isinstance(order, bytes) else order.model_dump_json().encode() for order in orders]
        await (worker or self.worker).on_records([MemoryRecord(body, offset) for offset, body in enumerate(bodies)])
