"""Whom a principal stands in for now: its tenant's absences of the next moment, believed for as long."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from contracts.identity import Principal, Role
from identity.absences.record import StandIns
from identity.lookups import CACHE_SECONDS, Lookups
from identity.ports import Absences


class Substitutes:
    """Completes principals by the absent persons whom they stand in for. An absence is known everywhere within seconds."""

    def __init__(
        self, absences: Absences, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._absences = absences
        self._now = now
        self._known: Lookups[StandIns] = Lookups(self._soon, clock)

    async def complete(self, principals: Sequence[Principal]) -> list[Principal]:
        """Return principals with those whom they stand in for, unchanged ones as they are. Only who decides stands in.

        Raises IdentityUnavailable.
        """
        tenants = {principal.tenant for principal in principals if _decides(principal)}
        absent = {tenant: (await self._known.find(tenant) or _NONE).at(self._now()) for tenant in tenants}
        return [_standing_in(one, absent[one.tenant] if _decides(one) else {}) for one in principals]

    def forget(self, tenant: str) -> None:
        """Ask the database the next time: this process changed a tenant's absences."""
        self._known.forget(tenant)

    async def _soon(self, tenant: str) -> StandIns:
        now = self._now()
        return StandIns(await self._absences.between(tenant, now, now + timedelta(seconds=CACHE_SECONDS)))


_NONE = StandIns(())


def _decides(principal: Principal) -> bool:
    return principal.has(Role.REVIEWER, Role.ADMIN)


def _standing_in(principal: Principal, absent: Mapping[str, tuple[str, ...]]) -> Principal:
    # A session may have been begun on behalf of others.
    persons = absent.get(principal.person, ())
    return principal if principal.on_behalf_of == persons else principal.changed({"on_behalf_of": persons})
