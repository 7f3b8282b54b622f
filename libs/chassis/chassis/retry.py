"""Waiting at a start for what a service needs: patient, and said once when it begins and once when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

AGAIN_SECONDS = 0.5

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


async def patiently(needed: str, attempt: Callable[[], Awaitable[_T]], *away: type[Exception]) -> _T:
    """Do what needs a connection, again and again until there is one; errors that are none of `away` are raised."""
    waited_out: tuple[type[Exception], ...] = (ConnectionError, *away)
    waiting = False
    while True:
        try:
            done = await attempt()
        except waited_out as error:
            if not waiting:
                _log.warning("waiting for a connection", to=needed, reason=str(error) or type(error).__name__)
            waiting = True
        else:
            if waiting:
                _log.info("there is a connection", to=needed)
            return done
        await asyncio.sleep(AGAIN_SECONDS)
