"""The watch on what is open by a credential: what ended ends, what changed is told, and what was replaced meanwhile is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.identity import Role
from identity.absences.record import Absence, Link
from identity.absences.substitutes import Substitutes
from identity.keys.record import KeyRecord
from identity.resolved import Resolved
from identity.resolver import Resolver
from identity.testing.keys import made_key
from identity.testing.memory import MemoryKeys
from identity.testing.memory_absences import MemoryAbsences
from identity.watch import CredentialWatch

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@dataclass
class Opening:
    """A socket: its credential, and what it was told."""

    resolved: Resolved | None
    told: list[str] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """Note the end."""
        self.told.append("ended")
        self.heard.set()

    def change(self, resolved: Resolved) -> None:
        """Take what the credential says now."""
        self.resolved = resolved
        self.told.append(" ".join(resolved.principal.on_behalf_of) or "none")


class Site:
    """A watch on keys and absences in memory."""

    def __init__(self, keys: MemoryKeys | None = None, absences: MemoryAbsences | None = None) -> None:
        self.keys, self.absences, self.time = keys or MemoryKeys(), absences or MemoryAbsences(), 0.0
        substitutes = Substitutes(self.absences, lambda: NOW, lambda: self.time)
        self.resolver = Resolver(self.keys, None, lambda: NOW, lambda: self.time, substitutes=substitutes)
        self.watch = CredentialWatch(self.resolver)

    async def opening(self, subject: str) -> tuple[Opening, KeyRecord]:
        """Return a socket that a new key of a reviewer opened."""
        made, record = made_key(subject, Role.REVIEWER, at=NOW)
        await self.keys.add(record, made.sha256)
        return Opening(await self.resolver.resolve_credential(made.text)), record

    async def look(self) -> None:
        """Look once, when all that is cached is old."""
        self.time += 10
        await self.watch.look()

    async def absent(self, person: str, substitute: str) -> Absence:
        """Let a person be absent from now on."""
        absence = Absence(
            id=uuid4(),
            tenant="default",
            person=person,
            substitute=substitute,
            begins_at=NOW - timedelta(hours=1),
            ends_at=NOW + timedelta(hours=1),
            reason=None,
            created_at=NOW,
            created_by=person,
        )
        await self.absences.add(absence)
        return absence


@pytest.fixture
def site() -> Site:
    """Give a watch."""
    return Site()


async def test_it_tells_of_absences_that_begin_and_end(site: Site) -> None:
    """Once each, and only whom they concern."""
    (bo, _), (cy, _) = await site.opening("bo"), await site.opening("cy")
    with site.watch.held(bo, bo.end, bo.change), site.watch.held(cy, cy.end, cy.change):
        await site.look()
        absence = await site.absent("ann", "bo")
        await site.look()
        await site.look()
        await site.absences.delete("default", absence.id)
        await site.look()
    assert (bo.told, cy.told) == (["ann", "none"], [])


class SlowAbsences(MemoryAbsences):
    """Absences that no answer comes of, until `answering` is set: an error then."""

    def __init__(self) -> None:
        super().__init__()
        self.answering = asyncio.Event()

    async def between(self, tenant: str, begin: datetime, end: datetime) -> list[Link]:
        """Hang, then fail."""
        await self.answering.wait()
        self.unavailable = True
        return await super().between(tenant, begin, end)


async def test_what_has_ended_ends_though_absences_cannot_be_read() -> None:
    """Late or not at all: a revocation waits for no other query."""
    absences = SlowAbsences()
    site = Site(MemoryKeys())
    (bo, record), (cy, _) = await site.opening("bo"), await site.opening("cy")
    await site.keys.revoke("default", record.id, NOW)
    site = Site(site.keys, absences)
    with site.watch.held(bo, bo.end, bo.change), site.watch.held(cy, cy.end, cy.change):
        looking = asyncio.create_task(site.look())
        async with asyncio.timeout(5):
            await bo.heard.wait()
        assert not looking.done()
        absences.answering.set()
        await looking
    assert (bo.told, cy.told) == (["ended"], [])


class Renewing(MemoryKeys):
    """Keys whose client says AUTH while the watch asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] = lambda: None

    async def ended(self, ids: Collection[UUID], now: datetime) -> set[UUID]:
        """Return which have ended, once something else has happened."""
        found = await super().ended(ids, now)
        self.meanwhile()
        return found


async def test_what_was_replaced_while_it_looked_neither_ends_nor_changes() -> None:
    """The look was about a credential that the client has no more."""
    keys = Renewing()
    site = Site(keys)
    (bo, record), (renewed, _) = await site.opening("bo"), await site.opening("bo")
    await site.keys.revoke("default", record.id, NOW)

    def renew() -> None:
        bo.resolved = renewed.resolved

    keys.meanwhile = renew
    with site.watch.held(bo, bo.end, bo.change):
        await site.look()
    assert bo.told == []
