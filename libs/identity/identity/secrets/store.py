"""The secrets of the installation in PostgreSQL, which every service of ours shares."""

from __future__ import annotations

import secrets

from chassis.postgres.connections import ConnectionPool
from chassis.postgres.named_queries import named_queries
from identity.driver_errors import Check, querying
from identity.ports import SECRET_BYTES


class SecretStore:
    """Implements `ports.Secrets` on a pool. `check` is called before each query, so that a known outage is told at once."""

    def __init__(self, pool: ConnectionPool, check: Check = lambda: None) -> None:
        self._pool = pool
        self._check = check
        self._sql = named_queries(__package__)

    async def get_or_make(self, name: str) -> bytes:
        """Return the secret of this name, which is made once: by the first process that asks."""
        with querying(self._check):
            # Two statements: one alone would not see what another process inserts while it waits for that process.
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(self._sql["make-secret"], name, secrets.token_bytes(SECRET_BYTES))
                return bytes(await connection.fetchval(self._sql["get-secret"], name))
