"""Ends calls whose runs were cancelled. Every worker reads every stop of the last hour, so that a restart misses none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from cachetools import FIFOCache

from chassis.retry import patiently
from contracts.providers.call_stream import StopCall
from messaging.records import RawRecord
from provider_worker.errors import CallStopped, DatabaseUnavailable
from provider_worker.messages.orders import Key
from provider_worker.providers.registry import Registry

if TYPE_CHECKING:
    from provider_worker.execution.call import CallHandler

MOST_REMEMBERED = 5_000
"""Stops whose order may still come: far more than are cancelled between an order and its call."""

_log = structlog.get_logger(__name__)


class Cancellations:
    """The stops that were read lately, and the calls that run here.

    A stop may come before the order of its call: they travel on two topics.
    """

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._stopped: FIFOCache[Key, None] = FIFOCache(most)
        self._running: dict[Key, Cancellation] = {}

    def of(self, key: Key) -> Cancellation:
        """Return the context manager within which the call `key` can be ended."""
        return Cancellation(key, self._stopped, self._running)

    def stop(self, key: Key) -> bool:
        """End the call `key` now, or when it is about to begin; return whether it runs here."""
        self._stopped[key] = None
        running = self._running.get(key)
        if running is not None:
            running.end()
        return running is not None


class Cancellation:
    """A region of one call's task that a stop ends. Raises CallStopped on entry or from within. It can be entered again."""

    def __init__(self, key: Key, stopped: FIFOCache[Key, None], running: dict[Key, Cancellation]) -> None:
        self._key = key
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


class StopListener:
    """Ends calls side by side as `provider.stops` asks for. `on_failure` gets the exception of an ending that failed."""

    def __init__(self, registry: Registry, calls: CallHandler, on_failure: Callable[[BaseException], None]) -> None:
        self._registry = registry
        self._calls = calls
        self._on_failure = on_failure
        self._running: set[asyncio.Task[None]] = set()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Begin to end calls. A malformed record is skipped: every worker reads it, and no worker owns it."""
        for record in records:
            try:
                stop = StopCall.model_validate_json(record.value or b"")
            except ValueError as error:
                _log.warning("not an order to stop", offset=record.offset, error=type(error).__name__)
                continue
            self._begin(stop)

    async def settle(self) -> None:
        """Return when every ending that was begun is over."""
        while self._running:
            await asyncio.wait(self._running)

    def _begin(self, stop: StopCall) -> None:
        provider = self._registry.find(stop.provider)
        if provider is None:
            return
        end = partial(self._calls.stop, stop, provider, uuid4().hex)
        task = asyncio.create_task(patiently("PostgreSQL", end, DatabaseUnavailable), name=f"stop {stop.work_id}")
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)
