"""The content-addressed store. It keeps bytes and says what they are; who may read them is the caller's business."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass

import asyncpg

from artifacts import queries

_REF = re.compile(r"artifact:sha256:([0-9a-f]{64})")


class MalformedRef(ValueError):
    """An artifact is named `artifact:sha256:` and 64 lower-case hex digits."""

    code = "artifact_ref_malformed"


@dataclass(frozen=True, slots=True)
class Artifact:
    """What the store knows about bytes it holds. `size` is in bytes."""

    sha256: str
    size: int
    media_type: str

    @property
    def ref(self) -> str:
        """The name under which payloads, events and results speak of it."""
        return f"artifact:sha256:{self.sha256}"


def parse_ref(ref: str) -> str:
    """Return the SHA-256 that a ref names, in lower-case hex. Raises MalformedRef."""
    found = _REF.fullmatch(ref)
    if found is None:
        raise MalformedRef(f"{ref[:100]!r}: {MalformedRef.__doc__}")
    return found[1]


class ArtifactStore:
    """Artifacts of all tenants, each seen by its own tenant alone."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def ensure_schema(self) -> None:
        """Make the tables that are missing. Any number of services may do so at once."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(queries.LOCK)
            await connection.execute(queries.SCHEMA)

    async def put(self, tenant: str, body: bytes, media_type: str, session_id: str | None = None) -> Artifact:
        """Keep `body` and return what it is called, linked to the session that brought it.

        The same bytes again are the same artifact, with the media type they were first given.
        """
        sha256 = await asyncio.to_thread(_sha256, body)
        async with self._pool.acquire() as connection, connection.transaction():
            known_as = await connection.fetchval(queries.MEDIA_TYPE, tenant, sha256)
            if known_as is None:
                await connection.execute(queries.INSERT, tenant, sha256, len(body), media_type, body)
                # Another writer may have been first, with another media type.
                known_as = await connection.fetchval(queries.MEDIA_TYPE, tenant, sha256)
            if session_id is not None:
                await connection.execute(queries.LINK, tenant, session_id, sha256)
        return Artifact(sha256, len(body), known_as)

    async def find(self, tenant: str, sha256: str) -> Artifact | None:
        """Return what an artifact of this tenant is, without its bytes, or None."""
        row = await self._pool.fetchrow(queries.FIND, tenant, sha256)
        return None if row is None else Artifact(sha256, row["size"], row["media_type"])

    async def get(self, tenant: str, sha256: str) -> tuple[Artifact, bytes] | None:
        """Return an artifact of this tenant with its bytes, or None."""
        row = await self._pool.fetchrow(queries.READ, tenant, sha256)
        return None if row is None else (Artifact(sha256, row["size"], row["media_type"]), row["body"])


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
