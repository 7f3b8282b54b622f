"""Whom a principal stands in for now: its tenant's absences of the next moment, believed for as long."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from contracts.identity import Principal, Role
from identity.absences.record import Absence, stand_ins
from identity.lookups import CACHE_SECONDS, Lookups
from identity.ports import Absences


class Substitutes:
    """Completes principals by the absent persons whom they stand in for. An absence is known everywhere within seconds."""

    def __init__(
        self, absences: Absences, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._absences = absences
        self._now = now
        self._known: Lookups[list[Absence]] = Lookups(self._soon, clock)

    async def complete(self, principal: Principal) -> Principal:
        """Return the principal with those whom it stands in for. Only who decides stands in. Raises IdentityUnavailable."""
        absent: tuple[str, ...] = ()
        if principal.has(Role.REVIEWER, Role.ADMIN):
            absences = await self._known.find(principal.tenant) or []
            absent = stand_ins(absences, self._now()).get(principal.person, ())
        # A session may have been begun on behalf of others.
        return principal if principal.on_behalf_of == absent else principal.changed({"on_behalf_of": absent})

    def forget(self, tenant: str) -> None:
        """Ask the database the next time: this process changed a tenant's absences."""
        self._known.forget(tenant)

    async def _soon(self, tenant: str) -> list[Absence]:
        now = self._now()
        return await self._absences.between(tenant, now, now + timedelta(seconds=CACHE_SECONDS))
