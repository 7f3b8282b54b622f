"""From Kafka to the hub: every instance reads all of `run.events`, and makes the text of each event once.

It commits nothing and writes nothing: what a fresh instance needs, it reads again. Malformed records are counted and
passed over; keeping them is the business of the group readers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import structlog
from pydantic import ValidationError

from contracts.message import explain
from contracts.runs.event_effects import REQUESTING, TERMINAL, State
from contracts.runs.event_header import EventHeader
from contracts.runs.views import Checkpoint
from messaging.consumer import Stretch
from messaging.records import RawRecord
from notifier import metrics
from notifier.adapters.gateway import GatewayAway
from notifier.hub.event_buffer import Notification, bytes_of
from notifier.hub.frames import frames_of, frames_with_request
from notifier.hub.hub import Hub
from notifier.hub.run_states import Known, Memory, after, fold, open_checkpoint

LOOK_UP_SECONDS = 1.0
"""How long the feed waits for the history of a run that it never header of. Everybody waits with it."""

QUIET_SECONDS = 5.0
"""How long the feed leaves the gateway alone after it did not answer."""

History = Callable[[str], Awaitable[list[bytes] | None]]
"""Tells all events of a run, as records of the log are. Raises GatewayAway."""

_log = structlog.get_logger(__name__)


class LogBeganAnew(Exception):
    """The log was emptied under a running instance: its positions, and all cursors, mean nothing any more."""


class Feed:
    """Hands each event to the hub once, in the order of its run. `history` tells of runs that it never header of."""

    def __init__(self, hub: Hub, memory: Memory, history: History) -> None:
        self.caught_up = asyncio.Event()
        self._hub = hub
        self._memory = memory
        self._history = history
        self._ends: Mapping[int, int] | None = None
        self._look_up_from = 0.0
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
        kinds = Counter([kind for record in records if (kind := await self._on_record(record))])
        for kind, count in kinds.items():
            metrics.events_of(kind).inc(count)
        self._hub.rouse()
        self._look_whether_caught_up()
        # Batches can follow each other without a pause; whoever was woken has its turn before it is due more.
        await asyncio.sleep(0)

    async def _on_record(self, record: RawRecord) -> str | None:
        """Take one record; return the kind of its event if it is news."""
        partition, offset, position = record.partition, record.offset, self._hub.position(record.partition)
        if offset < position:
            if self.caught_up.is_set():
                raise LogBeganAnew(f"{record.topic}[{partition}] was read up to {position} and now gives {offset}")
            return None
        if offset > position:
            self._hub.skip_to(partition, offset)
        value = record.value or b""
        try:
            header = EventHeader.parse(value)
            if self._memory.has_seen(header):
                self._hub.advance(partition, offset + 1)
                return None
            before = self._memory.before(header)
            if header.version > 1 and (before is None or before.state is None):
                before = await self._look_up(header)
            known = after(before, header, value)
            checkpoint = open_checkpoint(known) if header.kind in REQUESTING else None
        except ValueError as error:
            _report(record, error)
            self._hub.advance(partition, offset + 1)
            return None
        self._memory.learn(header.run_id, known)
        self._hub.publish(self._notification(record, header, value, known.state, checkpoint))
        return header.kind

    async def _look_up(self, header: EventHeader) -> Known | None:
        now = asyncio.get_running_loop().time
        if header.state_after(None) is not None or now() < self._look_up_from:
            return None
        self._hub.rouse()
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                history = await self._history(header.run_id)
            return fold(history or (), until=header.version)
        except (TimeoutError, GatewayAway, ValueError) as error:
            self._look_up_from = now() + QUIET_SECONDS
            _log.warning("states of runs begun earlier are not known while the gateway is away", reason=str(error))
            return None

    def _notification(
        self, record: RawRecord, header: EventHeader, value: bytes, state: State | None, checkpoint: Checkpoint | None
    ) -> Notification:
        after_it = self._hub.cursor_at(record.partition, record.offset + 1)
        if checkpoint is None:
            frames = frames_of(header, value, state, after_it)
        else:
            before_it = self._hub.cursor_at(record.partition, record.offset)
            frames = frames_with_request(header, value, state, checkpoint, before_it, after_it)
        return Notification(
            partition=record.partition,
            offset=record.offset,
            run_id=header.run_id,
            version=header.version,
            tenant=header.tenant,
            user_id=header.user_id,
            session_id=header.session_id,
            over=state in TERMINAL,
            frames=frames,
            size=bytes_of(frames),
        )

    def _look_whether_caught_up(self) -> None:
        if self._ends is not None and all(self._hub.position(p) >= end for p, end in self._ends.items()):
            self._ends = None
            self.caught_up.set()


def _report(record: RawRecord, error: ValueError) -> None:
    metrics.MALFORMED.inc()
    reason = explain(error) if isinstance(error, ValidationError) else str(error)
    where = f"{record.topic}[{record.partition}]@{record.offset}"
    _log.warning("malformed event", at=where, reason=reason)
