"""Wait for conditions, never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

POLL_SECONDS = 0.05


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float, name: str) -> None:
    """Return as soon as `condition` holds. Raises TimeoutError with `name` when it does not within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not await _holds(condition):  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise TimeoutError(f"{name}: not within {seconds:g} s") from None


async def together(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run the coroutines side by side. The first error cancels the others and is raised alone."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    found = condition()
    return found if isinstance(found, bool) else await found
