"""The feed of events: from records of `run.events` to notifications on the hub, each with its messages made once.

It commits no offset and writes nothing: a new instance reads again what it needs. Malformed records are counted and
skipped; the group readers keep them as dead letters.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from pydantic import ValidationError

from contracts.runs.event_header import REQUESTING, TERMINAL, EventHeader
from contracts.runs.views import Checkpoint
from contracts.validation.faults import explain
from messaging.records import RawRecord
from notifier import metrics
from notifier.errors import GatewayUnavailable, LogReset
from notifier.hub.event_buffer import Notification, bytes_of
from notifier.hub.frames import frames_of, frames_with_request
from notifier.hub.hub import Hub
from notifier.hub.run_states import RunStates, TrackedRun, evolve, fold, open_checkpoint
from notifier.ports import Gateway, Now

HISTORY_SECONDS = 1.0
"""How long the feed waits for the history of a run that it does not remember. All events wait with it."""

PAUSE = timedelta(seconds=5)
"""How long the feed does not ask the gateway after it did not answer."""

_log = structlog.get_logger(__name__)


class EventFeed:
    """Publishes each event on the hub once, in the order of its run. The gateway tells the state of runs begun earlier.

    `caught_up` is set once the feed has read the records that were there at its start. With `authentication` the gateway tells who may read
    these runs too, once each; where it does not, the hub disconnects the clients that see some runs alone.
    """

    def __init__(
        self, hub: Hub, run_states: RunStates, gateway: Gateway, now: Now, *, authentication: bool = True
    ) -> None:
        self.caught_up = asyncio.Event()
        self._hub = hub
        self._run_states = run_states
        self._gateway = gateway
        self._now = now
        self._authentication = authentication
        self._ends: Mapping[int, int] | None = None
        self._failed_at: datetime | None = None
        self._observed = 0

    def start(self, first: Mapping[int, range]) -> None:
        """Skip to the first of these offsets; the feed has caught up once it has read them all."""
        self._cover(max(first, default=-1) + 1)
        for partition, offsets in first.items():
            if self._hub.position(partition) < offsets.start:
                self._hub.skip_to(partition, offsets.start)
        self._ends = {partition: offsets.stop for partition, offsets in first.items()}
        self._note_progress()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Publish one batch, then wake its clients. Raises LogReset."""
        kinds = Counter([kind for record in records if (kind := await self._on_record(record))])
        for kind, count in kinds.items():
            metrics.events_of(kind).inc(count)
        self._hub.wake_clients()
        self._note_progress()
        # Batches can follow each other without a pause: let the woken clients take before the next one.
        await asyncio.sleep(0)

    async def _on_record(self, record: RawRecord) -> str | None:
        """Publish one record; return the kind of its event, or None when it is a repeated or malformed one."""
        if not self._is_next(record):
            return None
        value = record.value or b""
        try:
            header = EventHeader.parse(value)
            if self._run_states.has_seen(header):
                self._hub.advance(record.partition, record.offset + 1)
                return None
            before = self._run_states.before(header)
            if header.version > 1 and (before is None or before.state is None or before.readers is None):
                before = await self._from_history(before, header)
            run = evolve(before, header, value)
            checkpoint = open_checkpoint(run) if header.kind in REQUESTING else None
        except ValueError as error:
            _report(record, error)
            self._hub.advance(record.partition, record.offset + 1)
            return None
        self._run_states.put(header.run_id, run)
        self._hub.publish(self._notification(record, header, value, run, checkpoint))
        return header.kind

    def _cover(self, partitions: int) -> None:
        self._hub.cover(partitions)
        for partition in range(self._observed, partitions):
            metrics.POSITION.labels(str(partition)).set_function(partial(self._hub.position, partition))
        self._observed = max(self._observed, partitions)

    def _is_next(self, record: RawRecord) -> bool:
        if record.partition >= self._observed:
            self._cover(record.partition + 1)
        partition, offset, position = record.partition, record.offset, self._hub.position(record.partition)
        if offset > position:
            self._hub.skip_to(partition, offset)
        elif offset < position and self.caught_up.is_set():
            raise LogReset(f"{record.topic}[{partition}] was read up to {position} and now gives {offset}")
        return offset >= position

    def _is_unknown(self, before: TrackedRun | None, header: EventHeader) -> bool:
        """Return whether the history has to tell the state, or who may read the run.

        No client follows a feed that has not caught up: one that comes later gets a snapshot where readers are not known.
        """
        if (before is None or before.state is None) and header.state_after(None) is None:
            return True
        needs_readers = self._authentication and self.caught_up.is_set()
        return needs_readers and (before is None or before.readers is None)

    async def _from_history(self, before: TrackedRun | None, header: EventHeader) -> TrackedRun | None:
        """Return the run before an event as its history tells it, or as it was known."""
        if not self._is_unknown(before, header) or self._is_pausing():
            return before
        self._hub.wake_clients()
        try:
            async with asyncio.timeout(HISTORY_SECONDS):
                history = await self._gateway.history(header.tenant, header.run_id)
            return fold(history or (), until=header.version) or before
        except (TimeoutError, GatewayUnavailable, ValueError) as error:
            self._failed_at = self._now()
            _log.warning(
                "the states and the readers of runs begun earlier are unknown: the gateway does not answer",
                reason=str(error),
            )
            return before

    def _is_pausing(self) -> bool:
        # A clock that was set back must not prolong the pause.
        return self._failed_at is not None and timedelta() <= self._now() - self._failed_at < PAUSE

    def _notification(
        self, record: RawRecord, header: EventHeader, value: bytes, run: TrackedRun, checkpoint: Checkpoint | None
    ) -> Notification:
        state = run.state
        after_it = self._hub.cursor_at(record.partition, record.offset + 1, header.tenant)
        if checkpoint is None:
            frames = frames_of(header, value, state, after_it)
        else:
            before_it = self._hub.cursor_at(record.partition, record.offset, header.tenant)
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
            requester=run.requester,
            readers=run.readers if self._authentication else (),
        )

    def _note_progress(self) -> None:
        if self._ends is not None and all(self._hub.position(p) >= end for p, end in self._ends.items()):
            self._ends = None
            self.caught_up.set()


def _report(record: RawRecord, error: ValueError) -> None:
    metrics.MALFORMED.inc()
    reason = explain(error) if isinstance(error, ValidationError) else str(error)
    where = f"{record.topic}[{record.partition}]@{record.offset}"
    _log.warning("malformed event", at=where, reason=reason)
