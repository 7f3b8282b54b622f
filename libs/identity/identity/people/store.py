"""Persons in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from chassis.postgres.connections import ConnectionPool
from chassis.postgres.named_queries import named_queries
from contracts.identity import Principal
from identity.driver_errors import Check, querying


class Membership(NamedTuple):
    """What a person's credentials say that hold now: roles and groups, none of either where none holds."""

    tenant: str
    person: str
    roles: frozenset[str]
    groups: frozenset[str]


class PeopleStore:
    """Implements `ports.People` on a pool. `check` is called before each query, so that a known outage is told at once."""

    def __init__(self, pool: ConnectionPool, check: Check = lambda: None) -> None:
        self._pool = pool
        self._check = check
        self._sql = named_queries(__package__)

    async def note(self, principal: Principal, at: datetime) -> None:
        """Keep the roles and groups with which a person was seen. Nothing is written where they are kept already."""
        with querying(self._check):
            await self._pool.execute(
                self._sql["note"],
                principal.tenant,
                principal.person,
                [role.value for role in principal.roles],
                list(principal.groups),
                at,
            )

    async def memberships(self, persons: Collection[tuple[str, str]], at: datetime) -> list[Membership]:
        """Return what the credentials of persons, by tenant and name, say at a time. Who never had one is not there."""
        tenants, names = [tenant for tenant, _ in persons], [name for _, name in persons]
        with querying(self._check):
            rows = await self._pool.fetch(self._sql["memberships"], tenants, names, at)
        return [
            Membership(row["tenant"], row["person"], frozenset(row["roles"]), frozenset(row["groups"])) for row in rows
        ]
