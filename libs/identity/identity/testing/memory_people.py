"""Persons in memory, for tests and for programs that embed a service."""

from __future__ import annotations

from datetime import datetime

from contracts.identity import Principal, Role
from identity.errors import IdentityUnavailable


class MemoryPeople:
    """Implements `ports.People`: `seen` are the principals that were noted, each change of a person once.

    `unavailable` makes the database unreachable.
    """

    def __init__(self) -> None:
        self.unavailable = False
        self.seen: list[Principal] = []
        self._rows: dict[tuple[str, str], tuple[tuple[Role, ...], tuple[str, ...]]] = {}

    async def note(self, principal: Principal, at: datetime) -> None:  # noqa: ARG002 - the port's form
        """Keep what was seen, where it differs."""
        if self.unavailable:
            raise IdentityUnavailable("switched off")
        who, says = (principal.tenant, principal.person), (principal.roles, principal.groups)
        if self._rows.get(who) != says:
            self._rows[who] = says
            self.seen.append(principal)

    def roles_of(self, tenant: str, person: str) -> tuple[Role, ...] | None:
        """Return the roles with which a person was seen last; None for one that was not seen."""
        row = self._rows.get((tenant, person))
        return None if row is None else row[0]
