"""Cancels calls that run or wait here, now or as they begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from cachetools import FIFOCache

from provider_worker.errors import CallStopped
from provider_worker.messages.orders import Key

MOST_REMEMBERED = 5_000
"""Stops whose order may still come: far more than are cancelled between an order and its call."""


class Cancellations:
    """The stops that were read lately, and the calls that run here.

    A stop may come before the order of its call: they travel on two topics.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._stopped: FIFOCache[Key, None] = FIFOCache(most)
        self._running: dict[Key, Cancellation] = {}

    def of(self, key: Key, has_begun: Callable[[], bool] = lambda: False) -> Cancellation:
        """Return the context manager within which the call `key` can be ended; `has_begun` says whether it can still be held."""
        return Cancellation(key, has_begun, self._stopped, self._running)

    def hold(self, key: Key) -> None:
        """End the call `key` unless it has begun."""
        running = self._running.get(key)
        if running is None or not running.has_begun():
            self.stop(key)

    def stop(self, key: Key) -> bool:
        """End the call `key` now, or when it is about to begin; return whether it runs here."""
        self._stopped[key] = None
        running = self._running.get(key)
        if running is not None:
            running.end()
        return running is not None


class Cancellation:
    """A region of one call's task that a stop ends. Raises CallStopped on entry or from within. It can be entered again."""

    def __init__(
        self,
        key: Key,
        has_begun: Callable[[], bool],
        stopped: FIFOCache[Key, None],
        running: dict[Key, Cancellation],
    ) -> None:
        self._key = key
        self.has_begun = has_begun
        self._stopped = stopped
        self._running = running
        self._task: asyncio.Task[Any] | None = None
        self._is_ended = False

    def __enter__(self) -> None:
        if self._key in self._stopped:
            raise CallStopped
        self._task = asyncio.current_task()
        assert self._task is not None, "calls are made in tasks"
        self._running[self._key] = self

    def end(self) -> None:
        """Cancel the task, once."""
        if not self._is_ended and self._task is not None:
            self._is_ended = True
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._running[self._key]
        ended, self._is_ended = self._is_ended, False
        task = self._task
        assert task is not None, "it was entered"
        cancellations = task.uncancel() if ended else task.cancelling()
        if not isinstance(error, asyncio.CancelledError) or cancellations:
            return  # as in `asyncio.timeout`: a reason that is not ours goes further
        if ended:
            raise CallStopped from None
        raise RuntimeError("the provider cancelled its own call") from None
