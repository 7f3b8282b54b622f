"""Waiting for a condition. Never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

LOOK_SECONDS = 0.05


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float, what: str) -> None:
    """Return as soon as `condition` holds. Raises TimeoutError naming `what` when it does not within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await _holds(condition):  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {seconds:g} s") from None


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """Do all of `work` side by side. The first failure ends the others and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    found = condition()
    return found if isinstance(found, bool) else await found
