"""Credentials in PostgreSQL, for the notifier: it reads keys, sessions, absences and the secret of internal tokens."""

from __future__ import annotations

from chassis.postgres.connections import ConnectionPool, Connector
from chassis.settings import Settings
from identity.absences.store import AbsenceStore
from identity.keys.store import KeyStore
from identity.people.store import PeopleStore
from identity.secrets.store import SecretStore
from identity.sessions.store import SessionStore
from identity.settings import Kept, create_resolver
from identity.tokens.internal import InternalTokens
from notifier.ports import Now

POOL_SIZE = 2
CONNECT_SECONDS, QUERY_SECONDS = 3.0, 5.0


class PostgresIdentity:
    """Implements `ports.Identity`. Nothing connects before the first credential comes."""

    def __init__(self, settings: Settings, now: Now) -> None:
        connector = Connector(settings.database_url.get_secret_value(), "sayso-notifier", CONNECT_SECONDS)
        self._pool = ConnectionPool(connector, POOL_SIZE, QUERY_SECONDS)
        secrets = SecretStore(self._pool)
        self.internal = InternalTokens(secrets, now)
        pool = self._pool
        kept = Kept(KeyStore(pool), SessionStore(pool), AbsenceStore(pool), PeopleStore(pool), secrets)
        self.resolver = create_resolver(settings, kept, now)

    async def open(self) -> None:
        """Make the pool."""
        await self._pool.open()

    def close(self) -> None:
        """Disconnect at once."""
        self._pool.close()
