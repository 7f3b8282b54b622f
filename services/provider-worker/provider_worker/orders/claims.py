"""Claiming calls, however long the database is away: what is claimed is ours to begin, and nobody else's for good."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from chassis.failpoints import Failpoints
from contracts.providers.orders import ExecuteOrder
from provider_worker.messages.orders import Key
from provider_worker.ports import Claims, StorageUnavailable

_LONGEST_PAUSE = 5.0

_log = structlog.get_logger(__name__)


class Claimer:
    """Claims calls until the worker stops."""

    def __init__(self, claims: Claims, failpoints: Failpoints) -> None:
        self._claims = claims
        self._failpoints = failpoints
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Wait for the database no longer."""
        self._stopping.set()

    async def claim(self, orders: Sequence[ExecuteOrder], token: str) -> set[Key] | None:
        """Return which calls are `token`'s to begin; None when the worker stops before that is known."""
        pause = 0.1
        while True:
            try:
                mine = await self._claims.claim(orders, token)
            except StorageUnavailable as error:
                _log.warning("waiting for the database", reason=str(error), orders=len(orders))
            else:
                self._failpoints.reached("work.claimed")
                return mine
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
                    return None
            pause = min(2 * pause, _LONGEST_PAUSE)
