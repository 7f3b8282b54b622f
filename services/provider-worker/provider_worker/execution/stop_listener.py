"""Hearing that calls are to end. Every worker hears of every stop, from the last hour on, so that none is missed by a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from uuid import uuid4

import structlog

from chassis.retry import patiently
from contracts.providers.call_stream import StopCall
from messaging.records import RawRecord
from provider_worker.execution.call import CallHandler
from provider_worker.ports import StorageUnavailable
from provider_worker.providers.registry import Registry

_log = structlog.get_logger(__name__)


class StopListener:
    """Lets calls end side by side. `on_broken` is told what no stop should have raised."""

    def __init__(self, registry: Registry, calls: CallHandler, on_broken: Callable[[BaseException], None]) -> None:
        self._registry = registry
        self._calls = calls
        self._on_broken = on_broken
        self._running: set[asyncio.Task[None]] = set()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Begin to end calls. A malformed record is passed over: every worker reads it, and none owns it."""
        for record in records:
            try:
                stop = StopCall.model_validate_json(record.value or b"")
            except ValueError as error:
                _log.warning("not an order to stop", offset=record.offset, error=type(error).__name__)
                continue
            self._start(stop)

    async def settle(self) -> None:
        """Return when all that was begun has ended."""
        while self._running:
            await asyncio.wait(self._running)

    def _start(self, stop: StopCall) -> None:
        provider = self._registry.find(stop.provider)
        if provider is None:
            return

        end = partial(self._calls.stop, stop, provider, uuid4().hex)
        task = asyncio.create_task(patiently("PostgreSQL", end, StorageUnavailable), name=f"stop {stop.work_id}")
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_broken(error)
