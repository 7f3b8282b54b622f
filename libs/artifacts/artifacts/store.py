"""The content-addressed store of artifacts: bytes, kept once a tenant under their hash. Whether a person may read them is the caller's to check.

`chassis.postgres.migrations.migrate(url, {"artifacts": "artifacts.migrations"})` makes its tables.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass

from artifacts.media_type import found_type
from chassis.postgres.connections import ConnectionPool, Lent
from chassis.postgres.named_queries import named_queries

_REF = re.compile(r"artifact:sha256:([0-9a-f]{64})")


class UploadKeyReused(Exception):
    """Another upload came under this idempotency key before."""

    code = "idempotency_key_reused"


class MalformedRef(ValueError):
    """An artifact is named `artifact:sha256:` and 64 lower-case hex digits."""

    code = "artifact_ref_malformed"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact without its bytes. `size` is in bytes."""

    sha256: str
    size: int
    media_type: str

    @property
    def ref(self) -> str:
        """The name that stands for it in payloads, events and results."""
        return f"artifact:sha256:{self.sha256}"


def parse_ref(ref: str) -> str:
    """Return the SHA-256 that a ref names, in lower-case hex. Raises MalformedRef."""
    found = _REF.fullmatch(ref)
    if found is None:
        raise MalformedRef(f"{ref[:100]!r}: {MalformedRef.__doc__}")
    return found[1]


class ArtifactStore:
    """Artifacts of all tenants; every query is bound to one of them."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._sql = named_queries(__package__)

    async def put(
        self, tenant: str, body: bytes, media_type: str, session_id: str | None = None, key: str | None = None
    ) -> Artifact:
        """Keep `body` and return its artifact, linked to the session that brought it.

        The same bytes again are the same artifact; under another media type they get the one that they are found to have.
        The same upload under the same `key` gets the same answer. Raises UploadKeyReused for another one.
        """
        sha256 = await asyncio.to_thread(_sha256, body)
        async with self._pool.acquire() as connection, connection.transaction():
            kept_as = await connection.fetchval(self._sql["media-type"], tenant, sha256)
            if kept_as is None:
                await connection.execute(self._sql["insert"], tenant, sha256, len(body), media_type, body)
                # Another writer may have been first, with another media type.
                kept_as = await connection.fetchval(self._sql["media-type"], tenant, sha256)
            if kept_as != media_type and kept_as != (kept_as := found_type(body)):
                await connection.execute(self._sql["retype"], tenant, sha256, kept_as)
            if session_id is not None:
                await connection.execute(self._sql["link"], tenant, session_id, sha256)
            kept = Artifact(sha256, len(body), kept_as)
            return kept if key is None else await self._answer(connection, tenant, key, session_id, kept)

    async def _answer(
        self,
        connection: Lent,
        tenant: str,
        key: str,
        session_id: str | None,
        kept: Artifact,
    ) -> Artifact:
        """Return the answer to an upload under a key. Raises UploadKeyReused, which rolls back what the upload did."""
        request = upload_digest(kept.sha256, session_id)
        fields = kept.sha256, kept.size, kept.media_type
        if await connection.fetchval(self._sql["answer"], tenant, key, request, *fields) is not None:
            return kept
        row = await connection.fetchrow(self._sql["answered"], tenant, key)
        if row is None or row["request_sha256"] != request:
            raise UploadKeyReused(UploadKeyReused.__doc__)
        return Artifact(row["sha256"], row["size"], row["media_type"])

    async def find(self, tenant: str, sha256: str) -> Artifact | None:
        """Return an artifact of this tenant without its bytes, or None."""
        row = await self._pool.fetchrow(self._sql["find"], tenant, sha256)
        return None if row is None else Artifact(sha256, row["size"], row["media_type"])

    async def get(self, tenant: str, sha256: str) -> tuple[Artifact, bytes] | None:
        """Return an artifact of this tenant with its bytes, or None."""
        row = await self._pool.fetchrow(self._sql["read"], tenant, sha256)
        return None if row is None else (Artifact(sha256, row["size"], row["media_type"]), row["body"])

    async def piece(self, tenant: str, sha256: str, at: int, size: int) -> bytes:
        """Return the bytes of an artifact from `at` on, `size` at most; none behind its end, or where there is no such artifact."""
        return await self._pool.fetchval(self._sql["piece"], tenant, sha256, at + 1, size) or b""


def upload_digest(sha256: str, session_id: str | None) -> str:
    """Return what makes two uploads the same: their bytes and their session."""
    return _sha256(f"{sha256}\x1f{session_id or ''}".encode())


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
