"""From Kafka to the hub: every instance reads all of `run.events`, and makes the text of each event once.

It commits nothing and writes nothing: what a fresh instance needs, it reads again. Malformed records are counted and
passed over; keeping them is the business of the group readers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

import structlog
from prometheus_client import Counter
from pydantic import ValidationError

from contracts.kafka import RawRecord, Stretch
from contracts.runs.events import RunEvent
from contracts.runs.views import RunView, project
from notifier import metrics
from notifier.adapters.snapshots import GatewayAway
from notifier.framing import frames_of, frames_with_request, to_decide
from notifier.hub import Hub
from notifier.memory import Memory, after_anything, fold
from notifier.ring import Notification

LOOK_UP_SECONDS = 1.0
"""How long the feed waits for the history of a run that it never heard of. Everybody waits with it."""

QUIET_SECONDS = 5.0
"""How long the feed leaves the gateway alone after it did not answer."""

History = Callable[[UUID], Awaitable[list[bytes] | None]]
"""Tells all events of a run, as records of the log are. Raises GatewayAway."""

_log = structlog.get_logger(__name__)


class LogBeganAnew(Exception):
    """The log was emptied under a running instance: its positions, and all cursors, mean nothing any more."""


class Feed:
    """Hands each event to the hub once, in the order of its run. `history` tells of runs that it never heard of."""

    def __init__(self, hub: Hub, memory: Memory, history: History) -> None:
        self.caught_up = asyncio.Event()
        self._hub = hub
        self._memory = memory
        self._history = history
        self._ends: Mapping[int, int] | None = None
        self._look_up_from = 0.0
        self._counters: dict[str, Counter] = {}
        for partition in range(len(hub.positions)):
            metrics.POSITION.labels(str(partition)).set_function(partial(hub.position, partition))

    def begin(self, stretches: Mapping[int, Stretch]) -> None:
        """Know where the reader begins, and that the instance serves clients once it has come to the ends."""
        for partition, stretch in stretches.items():
            if self._hub.position(partition) < stretch.begin:
                self._hub.skip_to(partition, stretch.begin)
        self._ends = {partition: stretch.end for partition, stretch in stretches.items()}
        self._look_whether_caught_up()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take one batch, then wake all who are concerned. Raises LogBeganAnew."""
        for record in records:
            await self._on_record(record)
        self._hub.rouse()
        self._look_whether_caught_up()
        # Batches can follow each other without a pause; whoever was woken has its turn before it is due more.
        await asyncio.sleep(0)

    async def _on_record(self, record: RawRecord) -> None:
        partition, offset, position = record.partition, record.offset, self._hub.position(record.partition)
        if offset < position:
            if self.caught_up.is_set():
                raise LogBeganAnew(f"{record.topic}[{partition}] was read up to {position} and now gives {offset}")
            return
        if offset > position:
            self._hub.skip_to(partition, offset)
        event = _read(record)
        if event is None or self._memory.has_seen(event):
            self._hub.advance(partition, offset + 1)
            return
        self._count(event.kind)
        view = await self._view_after(event)
        value = record.value or b""
        self._memory.learn(event, view, len(value))
        self._hub.publish(self._notification(record, event, value, view))

    async def _view_after(self, event: RunEvent) -> RunView | None:
        before = self._memory.before(event)
        if before is not None or event.version == 1:
            return project(before, event)
        if (view := after_anything(event)) is not None:
            return view
        before = await self._look_up(event)
        return project(before, event) if before is not None else None

    async def _look_up(self, event: RunEvent) -> RunView | None:
        now = asyncio.get_running_loop().time
        if now() < self._look_up_from:
            return None
        self._hub.rouse()
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                history = await self._history(event.run_id)
            return fold(map(RunEvent.parse, history or ()), until=event.version)
        except (TimeoutError, GatewayAway, ValidationError) as error:
            self._look_up_from = now() + QUIET_SECONDS
            _log.warning("states of runs begun earlier are not known while the gateway is away", reason=str(error))
            return None

    def _notification(self, record: RawRecord, event: RunEvent, value: bytes, view: RunView | None) -> Notification:
        state, checkpoint = view.state if view else None, to_decide(event, view)
        after = self._hub.cursor_at(record.partition, record.offset + 1)
        if checkpoint is None:
            frames = frames_of(event, value, state, after)
        else:
            before = self._hub.cursor_at(record.partition, record.offset)
            frames = frames_with_request(event, value, state, checkpoint, before, after)
        return Notification(
            partition=record.partition,
            offset=record.offset,
            run_id=event.run_id,
            version=event.version,
            tenant=event.tenant,
            user_id=event.user_id,
            session_id=event.session_id,
            over=view is not None and view.is_over,
            frames=frames,
        )

    def _count(self, kind: str) -> None:
        # Finding a counter by its label costs more than counting.
        counter = self._counters.get(kind)
        if counter is None:
            counter = self._counters[kind] = metrics.EVENTS.labels(kind)
        counter.inc()

    def _look_whether_caught_up(self) -> None:
        if self._ends is not None and all(self._hub.position(p) >= end for p, end in self._ends.items()):
            self._ends = None
            self.caught_up.set()


def _read(record: RawRecord) -> RunEvent | None:
    try:
        return RunEvent.parse(record.value or b"")
    except ValidationError as error:
        metrics.MALFORMED.inc()
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        _log.warning("malformed event", at=where, path="/".join(map(str, first["loc"])), reason=first["msg"])
        return None
