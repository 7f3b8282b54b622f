"""Who a socket's client is, for as long as it is open."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.identity import Principal, Right
from identity.resolved import Resolved


@dataclass(eq=False, slots=True)
class Caller:
    """The client of one socket. Nothing is known of it while authentication is off."""

    resolved: Resolved | None = None
    credential: str | None = None

    @property
    def principal(self) -> Principal | None:
        """Who it is."""
        return None if self.resolved is None else self.resolved.principal

    @property
    def tenant(self) -> str:
        """The tenant that all it asks is bound to."""
        return "default" if self.principal is None else self.principal.tenant

    @property
    def own_runs_of(self) -> str | None:
        """The person whose runs are all that it sees; None where it sees every run of its tenant."""
        return None if self.principal is None else self.principal.own_runs_of

    def is_same_as(self, resolved: Resolved) -> bool:
        """Return whether another credential is of the same principal, with the same sight."""
        mine = self.principal
        return mine is not None and _sight(mine) == _sight(resolved.principal)


def _sight(principal: Principal) -> tuple[str, str, str | None, bool]:
    return principal.tenant, principal.subject, principal.own_runs_of, principal.may(Right.READ)
