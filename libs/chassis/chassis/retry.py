"""Waiting at a start for a service that this one needs. Logs once when the wait begins and once when it ends.

`stamina` 26.1 was tried in its place. It logs and counts every retry through hooks of the whole process, which each start
would have to silence, and the function was no shorter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

INTERVAL_SECONDS = 0.5

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


async def patiently(needed: str, attempt: Callable[[], Awaitable[_T]], *unavailable: type[Exception]) -> _T:
    """Repeat `attempt` until it succeeds, without end. Raises errors other than ConnectionError and `unavailable` at once."""
    retried: tuple[type[Exception], ...] = (ConnectionError, *unavailable)
    waiting = False
    while True:
        try:
            result = await attempt()
        except retried as error:
            if not waiting:
                _log.warning("waiting for a connection", to=needed, reason=str(error) or type(error).__name__)
            waiting = True
        else:
            if waiting:
                _log.info("there is a connection", to=needed)
            return result
        await asyncio.sleep(INTERVAL_SECONDS)
