"""The process of a service: one application on one port, a clean stop, an exit code that says whether it failed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

import structlog
import uvicorn
from starlette.applications import Starlette

from chassis.background import Background
from chassis.http.bounded_http import BoundedHttp, BoundedState
from chassis.http.connections import Connections, places
from chassis.logs import configure_logs
from chassis.settings import SAID_BY_STACK, Settings, SettingsError, doubts, exit_with, load_settings

STOP_SECONDS = 8
"""How long open requests may take to end once a stop is requested."""

_log = structlog.get_logger(__name__)


TICKS = 10
"""Ticks of uvicorn in a second."""


class _Server(uvicorn.Server):
    """Bounds its connections, and announces the stop to the service before it waits for open requests."""

    background: Background | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.connections = Connections(places())
        self.server_state = BoundedState(self.connections)

    async def on_tick(self, counter: int) -> bool:
        """Look at the connections once a second."""
        if counter % TICKS == 0:
            self.connections.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.background is not None:
            self.background.begin_stop()
        await super().shutdown(sockets)


def serve(
    service: str,
    create_app: Callable[[Settings], Starlette],
    port_of: Callable[[Settings], int],
    websocket: type[asyncio.Protocol] | None = None,
) -> None:
    """Run `service` until SIGINT or SIGTERM. Exits with 1 and one line when it cannot start or a background task failed.

    `websocket` is the protocol of its WebSockets, if it has any.
    """
    try:
        settings = load_settings()
    except SettingsError as error:
        exit_with(error)
    configure_logs(service, settings.log_level, settings.log_format)
    port = port_of(settings)
    listening = _listen(service, settings.host, port)
    try:
        app = create_app(settings)
    except SettingsError as error:
        exit_with(error)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        http=BoundedHttp,
        ws=websocket or "none",
        ws_max_size=settings.max_body_bytes,
        ws_per_message_deflate=False,  # compressing costs half as much again as all else that pushing a message costs
        server_header=False,
    )
    # All that wiring made stays until the end: collections need not walk it, nor come often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
    _warn(f"{settings.host}:{port}", settings)
    server = _Server(config)
    server.background = background = getattr(app.state, "background", None)
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, _end)
    with contextlib.suppress(SystemExit):
        server.run(sockets=[listening])
    if not server.started or (background is not None and background.failure is not None):
        raise SystemExit(1)


def check_settings(create_app: Callable[[Settings], Starlette]) -> None:
    """Read the settings as a start does, and connect to nothing. Exits with 1 and one line where a start would."""
    try:
        create_app(load_settings())
    except SettingsError as error:
        exit_with(error)


def _warn(address: str, settings: Settings) -> None:
    if SAID_BY_STACK in os.environ:
        return
    for doubt in doubts():
        _log.warning(doubt)
    if settings.auth != "on":
        _log.warning("authentication is off: each caller of this address may decide", address=address)


def _end(*_: object) -> NoReturn:
    # Uvicorn raises its stop signal once more in the end; a requested stop is no failure.
    raise SystemExit(0)


def _listen(service: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise SystemExit(f"sayso: {service}: cannot listen on {host}:{port}: {error.strerror}") from None
    listening.set_inheritable(True)
    return listening
