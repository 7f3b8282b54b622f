"""`python -m gateway` serves; `python -m gateway rebuild-views` folds the read model anew from the ledger."""

from __future__ import annotations

import asyncio
import sys

import structlog

from chassis.logs import configure_logs
from chassis.server import serve
from chassis.settings import SettingsError, exit_with, load_settings
from gateway.adapters.external import rebuild_views
from gateway.app import create_app
from gateway.errors import GatewayError


def rebuild() -> None:
    """Rebuild the read model and log how many events it was made of. Exits with one line where it cannot."""
    try:
        settings = load_settings()
    except SettingsError as error:
        exit_with(error)
    configure_logs("gateway", settings.log_level, settings.log_format)
    try:
        events = asyncio.run(rebuild_views(settings))
    except GatewayError as error:
        raise SystemExit(f"sayso: rebuild-views: {error}") from None
    structlog.get_logger(__name__).info("the read model is made again", events=events)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            serve("gateway", create_app, lambda settings: settings.gateway_port)
        case ["rebuild-views"]:
            rebuild()
        case _:
            raise SystemExit("usage: python -m gateway [rebuild-views]")
