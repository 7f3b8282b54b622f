"""Persons as they are seen by tokens and sign-ins: kept when their roles or groups have changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from cachetools import TTLCache

from contracts.identity import Principal, Role
from identity.errors import IdentityUnavailable
from identity.lookups import CACHE_SECONDS, MOST_KNOWN
from identity.ports import People

_Seen = tuple[tuple[Role, ...], tuple[str, ...]]


class Sightings:
    """Notes a person when its credential says something else, and every CACHE_SECONDS while it is there.

    Another process may have noted something else meanwhile. A vote is counted by the row, so that the row is believed
    for no longer than a key is. A person who has not changed costs a read by the primary key then, and no write.
    """

    def __init__(
        self, people: People, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._people = people
        self._now = now
        self._seen: TTLCache[tuple[str, str], _Seen] = TTLCache(MOST_KNOWN, CACHE_SECONDS, clock)

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
