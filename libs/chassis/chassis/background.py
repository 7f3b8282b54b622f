"""Background tasks of a service, of which one that fails ends the process, and the steps of its stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog

_log = structlog.get_logger(__name__)


class Background:
    """The background tasks of a service, and why its process ends. There is no half-working state to reason about."""

    def __init__(self, on_failure: Callable[[], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_failure = on_failure or (lambda: signal.raise_signal(signal.SIGTERM))
        self._on_stop: list[Callable[[], None]] = []
        self.failure: BaseException | None = None

    def on_stop(self, call: Callable[[], None]) -> None:
        """Call `call` when a stop is requested, before the server waits for open requests: endless streams end by it."""
        self._on_stop.append(call)

    def begin_stop(self) -> None:
        """Run what was registered by `on_stop`."""
        for call in self._on_stop:
            call()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` until it ends or `stop` is called."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def fail(self, error: BaseException) -> None:
        """End the process because of `error`."""
        if self.failure is None:
            self.failure = error
            _log.error("ending", reason=str(error) or type(error).__name__, error=type(error).__name__)
            self._on_failure()

    async def stop(self) -> None:
        """Cancel all tasks and wait for their end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task failed", task=task.get_name(), exc_info=error)
            self.fail(error)


async def briefly(step: Awaitable[None], seconds: float, *ignored: type[Exception]) -> None:
    """Await a step of the stop for at most so long, so that it cannot hold up the rest. Passes over errors that are `ignored`."""
    with suppress(TimeoutError, *ignored):
        async with asyncio.timeout(seconds):
            await step
