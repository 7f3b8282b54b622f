"""Responses that are made in the background: begun once, or found again by their id, and asked about until they end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from provider_worker.providers.base import ProviderError
from provider_worker.providers.openai.responses.failures import (
    RUNNING,
    nameless,
    of_end,
    of_known,
    of_known_end,
    of_look,
    overdue,
)

if TYPE_CHECKING:
    from provider_worker.providers.openai.connection import Connection

_GROWTH = 1.5


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks at a response, growing from `first` to `longest`, and how long one is watched in all.

    `patience` is less than a call may take, so that a response that hangs is one that is known and not one that may have happened.
    After `misses` looks in a row that failed the attempt is over.
    """

    first: float = 1.0
    longest: float = 10.0
    patience: float = 540.0
    misses: int = 5


def path_of(name: str) -> str:
    """Return where a response is."""
    return f"/responses/{quote(name, safe='')}"


async def watch(connection: Connection, response: Mapping[str, Any], pace: Pace) -> dict[str, Any]:
    """Ask about a response until it has ended with an answer, and return it. Raises ProviderError.

    One without a status is asked about at once. A look that fails costs nothing and is repeated.
    """
    name = str(response["id"])
    try:
        found = await _ended(connection, name, dict(response), pace)
    except ProviderError as error:
        raise ProviderError(of_known(error.failure, name)) from error
    if (end := of_end(found)) is not None:
        raise ProviderError(of_known_end(end))
    return found


async def _ended(connection: Connection, name: str, found: dict[str, Any], pace: Pace) -> dict[str, Any]:
    until = time.monotonic() + pace.patience
    wait, misses = (pace.first if "status" in found else 0.0), 0
    while found.get("status") in (*RUNNING, None):
        if time.monotonic() + wait > until:
            raise ProviderError(overdue(pace.patience))
        await asyncio.sleep(wait)
        wait = min(max(wait * _GROWTH, pace.first), pace.longest)
        try:
            found, misses = _response(await connection.get(path_of(name))), 0
        except ProviderError as error:
            failure, misses = of_look(error.failure), misses + 1
            if not failure.retryable or misses >= pace.misses:
                raise ProviderError(failure) from error
            wait = max(wait, failure.retry_after or 0)
    return found


def _response(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        raise ProviderError(nameless())
    return answer
