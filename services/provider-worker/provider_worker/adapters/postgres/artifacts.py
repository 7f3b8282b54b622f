"""Artifacts in PostgreSQL, seen by one tenant at a time."""

from __future__ import annotations

from artifacts.store import Artifact, ArtifactStore, MalformedRef, parse_ref
from provider_worker.adapters.postgres.pool import Pool, speaking


class PostgresArtifacts:
    """Implements `ports.Shelves`."""

    def __init__(self, pool: Pool) -> None:
        self._store = ArtifactStore(pool)

    def of(self, tenant: str) -> PostgresTenantArtifacts:
        """Return the artifacts of one tenant."""
        return PostgresTenantArtifacts(self._store, tenant)


class PostgresTenantArtifacts:
    """Implements `ports.Artifacts`. What providers make is linked to no session: sessions replay what people uploaded."""

    def __init__(self, store: ArtifactStore, tenant: str) -> None:
        self._store = store
        self._tenant = tenant

    async def find(self, ref: str) -> Artifact | None:
        """Return what `ref` names, without its bytes."""
        async with speaking():
            return await self._store.find(self._tenant, _hash(ref))

    async def read(self, ref: str) -> tuple[Artifact, bytes] | None:
        """Return what `ref` names, with its bytes."""
        async with speaking():
            return await self._store.get(self._tenant, _hash(ref))

    async def keep(self, body: bytes, media_type: str) -> str:
        """Keep `body` and return its ref."""
        async with speaking():
            return (await self._store.put(self._tenant, body, media_type)).ref


def _hash(ref: str) -> str:
    try:
        return parse_ref(ref)
    except MalformedRef:
        return ""  # names nothing
