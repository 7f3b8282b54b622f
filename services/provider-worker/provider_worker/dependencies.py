"""The worker's storage, and the dependencies that its handlers of orders share. The one clock is `failpoints.now`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from chassis.failpoints import OFF, Failpoints
from provider_worker.budgets.gate import BudgetGate
from provider_worker.budgets.model import Budgets
from provider_worker.checks.check_runner import CheckRunner
from provider_worker.ports import Artifacts, Claims, Publisher
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.admission import Admission
from provider_worker.rate_limits.reservations import Reservations
from provider_worker.sanitizer import Sanitizer


class Storage(Protocol):
    """Everything that the worker keeps in a database."""

    @property
    def claims(self) -> Claims:
        """The claims of calls."""
        ...

    @property
    def artifacts(self) -> Artifacts:
        """The artifacts of all tenants."""
        ...

    @property
    def budgets(self) -> Budgets:
        """The balances of budgets."""
        ...

    @property
    def reservations(self) -> Reservations:
        """The slots of rate-limited accounts."""
        ...

    async def open(self) -> None:
        """Connect, and bring the tables up to date. Raises DatabaseUnavailable."""
        ...

    async def check(self) -> None:
        """Return when the database answers. Raises DatabaseUnavailable."""
        ...

    async def forget_old(self) -> None:
        """Delete rows that no order and no budget needs any more. Raises DatabaseUnavailable."""
        ...

    def close(self) -> None:
        """Disconnect at once."""
        ...


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The ports and policies that the handlers of orders share."""

    registry: Registry
    claims: Claims
    artifacts: Artifacts
    publisher: Publisher
    sanitizer: Sanitizer
    budgets: BudgetGate
    checks: CheckRunner = field(default_factory=CheckRunner)
    admission: Admission = field(default_factory=Admission)
    failpoints: Failpoints = OFF
