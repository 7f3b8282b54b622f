"""Persons as they are seen by tokens and sign-ins: kept when their roles or groups have changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cachetools import LRUCache

from contracts.identity import Principal, Role
from identity.errors import IdentityUnavailable
from identity.ports import People

MOST_KNOWN = 10_000

_Seen = tuple[tuple[Role, ...], tuple[str, ...]]


class Sightings:
    """Notes each person once, and again when its credential says something else."""

    def __init__(self, people: People, now: Callable[[], datetime]) -> None:
        self._people = people
        self._now = now
        self._seen: LRUCache[tuple[str, str], _Seen] = LRUCache(MOST_KNOWN)

    async def note(self, principal: Principal) -> None:
        """Keep what a token or a sign-in says of a person. While the database is unavailable nothing is kept, and it is tried again."""
        who, says = (principal.tenant, principal.person), (principal.roles, principal.groups)
        if self._seen.get(who) == says:
            return
        try:
            await self._people.note(principal, self._now())
        except IdentityUnavailable:
            return
        self._seen[who] = says
