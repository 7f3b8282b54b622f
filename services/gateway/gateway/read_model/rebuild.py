"""Making the read model again of the record: `python -m gateway rebuild-views`. Gateways may go on running meanwhile."""

from __future__ import annotations

import asyncio

import structlog

from chassis.logs import configure_logs
from chassis.settings import Settings, SettingsError, exit_with, load_settings
from gateway.adapters.postgres.writer import PostgresTables, ensure_schema
from gateway.projection.rows import project_batch

_log = structlog.get_logger(__name__)


async def rebuild(settings: Settings) -> int:
    """Fold all events that are recorded anew, in one transaction; return their number."""
    url = settings.database_url.get_secret_value()
    await ensure_schema(url)
    tables = PostgresTables(url)
    try:
        return await tables.remake(project_batch)
    finally:
        await tables.close()


def main() -> None:
    """Make the read model again, and say how many events it was made of."""
    try:
        settings = load_settings()
    except SettingsError as error:
        exit_with(error)
    configure_logs("gateway", settings.log_level, settings.log_format)
    _log.info("the read model is made again", events=asyncio.run(rebuild(settings)))
