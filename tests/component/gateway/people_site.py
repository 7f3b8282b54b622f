"""A gateway that asks for credentials, and people with keys, for tests of tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from contracts.identity import Principal
from identity.testing.keys import made_key
from testkit.runs.specification import Story

from .memory_site import NOW, Site, memory_site


@dataclass
class People:
    """A gateway and the keys of the people who ask it."""

    site: Site
    keys: dict[str, str]

    async def ask(self, who: Principal, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Ask as a person."""
        if who.subject not in self.keys:
            self.keys[who.subject] = await self._key_of(who)
        sent = {"Authorization": f"Bearer {self.keys[who.subject]}", **headers}
        return await self.site.http.request(method, path, json=body, headers=sent)

    async def tell(self, story: Story) -> UUID:
        """Take over a run as a story left it."""
        return await self.site.orchestrator.tell(story)

    async def _key_of(self, who: Principal) -> str:
        about = {"tenant": who.tenant, "kind": who.kind, "groups": who.groups, "owner": who.owner}
        made, record = made_key(who.subject, *who.roles, at=NOW, **about)
        await self.site.keys.add(record, made.sha256)
        return made.text


@asynccontextmanager
async def people_at(folder: Path, **settings: Any) -> AsyncIterator[People]:
    """Run a gateway in memory that asks for credentials."""
    async with memory_site(auth="on", data_dir=folder, **settings) as site:
        await site.announce()
        yield People(site, {})
