"""Artifacts in PostgreSQL, seen by one tenant at a time."""

from __future__ import annotations

from artifacts.store import Artifact, ArtifactStore, MalformedRef, parse_ref
from provider_worker.adapters.postgres.database import Database


class PostgresArtifacts:
    """Implements `ports.Artifacts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, tenant: str) -> PostgresTenantArtifacts:
        """Return the artifacts of one tenant."""
        return PostgresTenantArtifacts(self._database, tenant)


class PostgresTenantArtifacts:
    """Implements `ports.TenantArtifacts`. Providers' files belong to no session: sessions replay people's uploads."""

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    async def find(self, ref: str) -> Artifact | None:
        """Return the artifact that `ref` names, without its bytes."""
        async with self._database.errors():
            return await self._store.find(self._tenant, _hash(ref))

    async def read(self, ref: str) -> tuple[Artifact, bytes] | None:
        """Return the artifact that `ref` names, with its bytes."""
        async with self._database.errors():
            return await self._store.get(self._tenant, _hash(ref))

    async def keep(self, body: bytes, media_type: str) -> str:
        """Store `body` and return its ref."""
        async with self._database.errors():
            return (await self._store.put(self._tenant, body, media_type)).ref

    @property
    def _store(self) -> ArtifactStore:
        return ArtifactStore(self._database.pool)


def _hash(ref: str) -> str:
    try:
        return parse_ref(ref)
    except MalformedRef:
        return ""  # no artifact has it
