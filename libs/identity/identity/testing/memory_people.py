"""Persons in memory, for tests and for programs that embed a service."""

from __future__ import annotations

from datetime import datetime

from contracts.identity import Principal
from identity.errors import IdentityUnavailable


class MemoryPeople:
    """Implements `ports.People`: `seen` are the principals that were noted. `unavailable` makes the database unreachable."""

    def __init__(self) -> None:
        self.unavailable = False
        self.seen: list[Principal] = []

    async def note(self, principal: Principal, at: datetime) -> None:  # noqa: ARG002 - the port's form
        """Keep what was seen."""
        if self.unavailable:
            raise IdentityUnavailable("switched off")
        self.seen.append(principal)
