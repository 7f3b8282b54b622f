"""The file store in PostgreSQL, with the gateway's errors."""

from __future__ import annotations

from artifacts.store import Artifact, ArtifactStore
from gateway.adapters.postgres.pool import PostgresDatabase


class PostgresArtifacts:
    """Files in the database's pool. Every method raises DatabaseUnavailable."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def put(
        self, tenant: str, body: bytes, media_type: str, session_id: str | None = None, key: str | None = None
    ) -> Artifact:
        """Keep a file, linked to the session that brought it. Raises UploadKeyReused."""
        with self._database.guard():
            return await ArtifactStore(self._database.pool).put(tenant, body, media_type, session_id, key)

    async def find(self, tenant: str, sha256: str) -> Artifact | None:
        """Return a file without its bytes, or None."""
        with self._database.guard():
            return await ArtifactStore(self._database.pool).find(tenant, sha256)

    async def piece(self, tenant: str, sha256: str, at: int, size: int) -> bytes:
        """Return the bytes of a file from `at` on, `size` at most; none behind its end."""
        with self._database.guard():
            return await ArtifactStore(self._database.pool).piece(tenant, sha256, at, size)
