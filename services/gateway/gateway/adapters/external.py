"""All adapters of a gateway in production, made of its settings, and the one command that needs no gateway."""

from __future__ import annotations

from chassis.failpoints import load_failpoints
from chassis.settings import Settings
from gateway.adapters.kafka import KafkaBroker
from gateway.adapters.postgres.artifacts import PostgresArtifacts
from gateway.adapters.postgres.drafts import PostgresDrafts
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.adapters.postgres.reader import PostgresViews
from gateway.adapters.postgres.schema import prepare_schemas
from gateway.adapters.postgres.writer import PostgresTables
from gateway.ports import Adapters
from gateway.projection.rows import project_batch
from identity.absences.store import AbsenceStore
from identity.errors import IdentityUnavailable
from identity.keys.store import KeyStore
from identity.people.store import PeopleStore
from identity.secrets.store import SecretStore
from identity.sessions.store import SessionStore


def external_adapters(settings: Settings) -> Adapters:
    """Return PostgreSQL, Kafka and the machine's clock. Nothing connects yet."""
    url = settings.database_url.get_secret_value()
    database = PostgresDatabase(url, prepare_schemas)

    def check() -> None:
        if database.is_unavailable:  # no request waits for a server that hangs
            raise IdentityUnavailable("PostgreSQL does not answer")

    return Adapters(
        database,
        PostgresTables(url),
        PostgresViews(database),
        PostgresArtifacts(database),
        PostgresDrafts(database),
        KeyStore(database.pool, check),
        SessionStore(database.pool, check),
        AbsenceStore(database.pool, check),
        PeopleStore(database.pool, check),
        SecretStore(database.pool, check),
        KafkaBroker(settings.kafka_bootstrap_servers, settings.fetch_wait_ms, steady_path=settings.kafka_steady_path),
        load_failpoints().now,
    )


async def rebuild_views(settings: Settings) -> int:
    """Fold the whole ledger into the tables anew, in one transaction; return the number of events. Gateways may run meanwhile."""
    url = settings.database_url.get_secret_value()
    await prepare_schemas(url)
    tables = PostgresTables(url)
    try:
        return await tables.remake(project_batch)
    finally:
        await tables.close()
