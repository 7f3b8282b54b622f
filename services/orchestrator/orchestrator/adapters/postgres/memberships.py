"""Memberships of voters, from what identity keeps in the same database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from datetime import datetime

from chassis.postgres.connections import ConnectionPool, Connector
from identity.errors import IdentityUnavailable
from identity.people.store import PeopleStore
from orchestrator.adapters.postgres.connection import CONNECT_SECONDS
from orchestrator.aggregate import Facts
from orchestrator.ports import LedgerUnavailable
from orchestrator.runs.tasks.membership import Membership, Person

QUERY_SECONDS = 5.0


class Memberships:
    """Looks persons up. It connects at the first question, which comes when a second vote does."""

    def __init__(self, url: str, now: Callable[[], datetime]) -> None:
        self._pool = ConnectionPool(Connector(url, "sayso-orchestrator", CONNECT_SECONDS), 1, QUERY_SECONDS)
        self._people = PeopleStore(self._pool)
        self._now = now
        self._is_open = False

    async def look_up(self, asked: Collection[Hashable]) -> Facts:
        """Return the memberships of the persons among what is asked for. Raises LedgerUnavailable."""
        persons = [one for one in asked if isinstance(one, Person)]
        if not self._is_open:
            await self._pool.open()
            self._is_open = True
        try:
            found = await self._people.memberships(persons, self._now())
        except IdentityUnavailable as error:
            raise LedgerUnavailable(str(error)) from error
        return {Person(one.tenant, one.person): Membership(one.roles, one.groups) for one in found}
