"""Asking about work that a vendor does on its own time, until it has ended. It begins nothing and knows no vendor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.providers.call import Failure
from provider_worker.providers.base import ProviderError

GROWTH = 1.5

Found = Mapping[str, Any]
Look = Callable[[], Awaitable[dict[str, Any]]]
"""Asks the vendor once. Raises ProviderError."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks, growing from `first` to `longest`, and how long the work is watched in all.

    `patience` is less than a call may take, so that work that hangs is work that is known and not work that may have happened.
    After `misses` looks in a row that failed the attempt is over.
    """

    first: float = 0.5
    longest: float = 5.0
    patience: float = 540.0
    misses: int = 5


@dataclass(frozen=True, slots=True)
class Words:
    """How a vendor's work is spoken of: whether it has ended, what a look means that failed, what it means that time is up."""

    has_ended: Callable[[Found], bool]
    of_look: Callable[[Failure], Failure]
    overdue: Callable[[float], Failure]


async def hear_nothing(_: Found) -> None:
    """Listen to no look."""


async def until_ended(
    found: Found, look: Look, pace: Pace, words: Words, hear: Callable[[Found], Awaitable[None]] = hear_nothing
) -> dict[str, Any]:
    """Ask until the work has ended, and return it; `hear` is told how it stands after each look but the last. Raises ProviderError.

    Work without a status is asked about at once. A look that fails costs nothing and is repeated.
    """
    until = time.monotonic() + pace.patience
    wait, misses = (pace.first if "status" in found else 0.0), 0
    while not words.has_ended(found):
        if time.monotonic() + wait > until:
            raise ProviderError(words.overdue(pace.patience))
        await asyncio.sleep(wait)
        wait = min(max(wait * GROWTH, pace.first), pace.longest)
        try:
            found, misses = await look(), 0
        except ProviderError as error:
            failure, misses = words.of_look(error.failure), misses + 1
            if not failure.retryable or misses >= pace.misses:
                raise ProviderError(failure) from error
            wait = max(wait, failure.retry_after or 0)
        else:
            if not words.has_ended(found):
                await hear(found)
    return dict(found)
