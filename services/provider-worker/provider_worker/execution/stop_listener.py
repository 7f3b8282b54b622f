"""Ends calls whose runs were cancelled, holds those of paused runs, and gives back what budgets hold for runs that ended.

Every worker reads every stop of the last hour, so that a restart misses none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from uuid import uuid4

import structlog

from chassis.retry import patiently
from contracts.providers.call_stream import HoldCall, ReleaseBudget, StopCall, parse_stop
from messaging.records import RawRecord
from provider_worker.budgets.gate import BudgetGate
from provider_worker.errors import DatabaseUnavailable
from provider_worker.execution.call import CallHandler
from provider_worker.providers.registry import Registry

_log = structlog.get_logger(__name__)


class StopListener:
    """Ends calls side by side as `provider.stops` asks for. `on_failure` gets the exception of an ending that failed."""

    def __init__(
        self,
        registry: Registry,
        calls: CallHandler,
        budgets: BudgetGate,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._registry = registry
        self._calls = calls
        self._budgets = budgets
        self._on_failure = on_failure
        self._running: set[asyncio.Task[None]] = set()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Begin to end calls. A malformed record is skipped: every worker reads it, and no worker owns it."""
        for record in records:
            try:
                stop = parse_stop(record.value or b"")
            except ValueError as error:
                _log.warning("not an order to stop", offset=record.offset, error=type(error).__name__)
                continue
            match stop:
                case HoldCall():
                    self._calls.hold(stop)
                case StopCall():
                    self._end_call(stop)
                case ReleaseBudget():
                    self._begin(partial(self._budgets.release, stop), f"release {stop.run_id}")

    async def settle(self) -> None:
        """Return when every ending that was begun is over."""
        while self._running:
            await asyncio.wait(self._running)

    def _end_call(self, stop: StopCall) -> None:
        # A call that is made in one with its preparation is named by what its run asked for, which may be a route.
        provider = self._registry.find(stop.provider)
        self._begin(partial(self._calls.stop, stop, provider, uuid4().hex), f"stop {stop.work_id}")

    def _begin(self, end: Callable[[], Awaitable[None]], name: str) -> None:
        task = asyncio.create_task(patiently("PostgreSQL", end, DatabaseUnavailable), name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)
