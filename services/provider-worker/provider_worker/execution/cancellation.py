"""Which calls are to end because their runs were cancelled, and the calls that run here. Knows no provider and no Kafka."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from provider_worker.messages.orders import Key

_T = TypeVar("_T")

MOST_REMEMBERED = 5_000
"""Stops whose order may still come: far more than are cancelled between an order and its call."""


class CallStopped(Exception):
    """The run was cancelled while its call was being made; the call's connection is closed."""


class Cancellations:
    """Remembers what is to end. A stop may come before the order of its call, since they travel on two topics."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._wanted: OrderedDict[Key, None] = OrderedDict()
        self._calls: dict[Key, asyncio.Task[Any]] = {}
        self._ended: set[Key] = set()
        self._most = most

    def is_wanted(self, key: Key) -> bool:
        """Say whether this call is to end, or not to begin."""
        return key in self._wanted

    def want(self, key: Key) -> bool:
        """Remember that a call is to end, and end it if it runs here; say whether it does."""
        self._wanted[key] = None
        if len(self._wanted) > self._most:
            self._wanted.popitem(last=False)
        runs_here = key in self._calls
        if runs_here:
            self._end(key)
        return runs_here

    async def unless_wanted(self, key: Key, begin: Callable[[], Awaitable[_T]]) -> _T:
        """Return what `begin` leads to. Raises Stopped when that was ended, or had better not begin."""
        if self.is_wanted(key):
            raise CallStopped
        task = asyncio.current_task()
        assert task is not None, "calls are made in tasks"
        self._calls[key] = task
        try:
            result = await begin()
        except asyncio.CancelledError:
            # The same way as `asyncio.timeout`: of the reasons to end this task, one was ours, and it goes no further.
            if key in self._ended and task.uncancel() == 0:
                raise CallStopped from None
            if task.cancelling():
                raise
            raise RuntimeError("the call was cancelled by nobody here") from None
        else:
            if key in self._ended:  # it had its answer all the same
                task.uncancel()
            return result
        finally:
            del self._calls[key]
            self._ended.discard(key)

    def _end(self, key: Key) -> None:
        if key not in self._ended:
            self._ended.add(key)
            self._calls[key].cancel()
