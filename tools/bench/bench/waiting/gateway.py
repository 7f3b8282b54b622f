"""A gateway on that read model, asked in this process: its own layers from the credential to the bytes, and no socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt

from chassis.settings import Settings
from contracts.identity import Principal
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.adapters.postgres.reader import PostgresViews
from gateway.app import create_app
from gateway.testing.adapters import MemoryBroker, memory_adapters
from gateway.testing.memory import MemoryTables

_SECRET = "a-secret-of-the-benchmark-32-bytes-or-more"  # noqa: S105 - it is one in name only
_ISSUER, _AUDIENCE = "https://issuer.example", "sayso"


@asynccontextmanager
async def running_gateway(
    database: PostgresDatabase, views: PostgresViews, folder: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a gateway that asks for credentials, with all but PostgreSQL in memory."""
    settings = Settings(
        _env_file=None, auth="on", data_dir=folder, jwt_secret=_SECRET, jwt_issuer=_ISSUER, jwt_audience=_AUDIENCE
    )
    adapters = memory_adapters(MemoryBroker(_decides_nothing), MemoryTables())._replace(database=database, views=views)
    app = create_app(settings, adapters)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        yield http


def credential(who: Principal) -> dict[str, str]:
    """Return the header of a principal's token."""
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": who.subject,
        "tenant": who.tenant,
        "roles": [role.value for role in who.roles],
        "groups": list(who.groups),
        "exp": datetime.now(UTC) + timedelta(hours=1),
    }
    return {"Authorization": f"Bearer {jwt.encode(claims, _SECRET, 'HS256')}"}


async def _decides_nothing(_: object) -> None:
    return None
