"""Who a socket's client is, for as long as it is open."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.identity import Principal, Right
from contracts.runs.tasks.readers import Reader, reader_of
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
    def reader(self) -> Reader | None:
        """What it may see; None where it sees every run of its tenant."""
        return reader_of(self.principal)

    @property
    def stands_in(self) -> bool:
        """Whether it stands in for absent persons."""
        return self.principal is not None and bool(self.principal.on_behalf_of)

    def is_same_as(self, resolved: Resolved) -> bool:
        """Return whether another credential is of the same principal, with the same sight."""
        mine = self.principal
        return mine is not None and _sight(mine) == _sight(resolved.principal)


def _sight(principal: Principal) -> tuple[str, str, Reader | None, bool]:
    # Whom it stands in for changes while a socket is open, and is no other person.
    alone = principal.changed({"on_behalf_of": ()})
    return principal.tenant, principal.subject, reader_of(alone), principal.may(Right.READ)
