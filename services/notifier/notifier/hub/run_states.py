"""The latest state of each run, so that the feed can tell the state after each event: an LRU map, plain data, no I/O.

Of an open checkpoint it keeps the records and not their view: few views are ever needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import Field

from contracts.json_values import ComposedObject
from contracts.message import Message, Timestamp
from contracts.providers.call import Issue
from contracts.runs.event_header import EventHeader, State
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.fold import fold_task
from contracts.runs.tasks.readers import entries_after
from contracts.runs.tasks.rules import ReviewRules
from contracts.runs.tasks.task import Task, open_task
from contracts.runs.views import Checkpoint, RunView, project


class TrackedRun(NamedTuple):
    """A run at its latest version here. `state` is None when it is not known.

    `open`: the records' values since its open checkpoint opened, that one first. `requester`: the person who started it.
    `readers`: the entries of those who may read it besides, None where who may read it is not known; `task`: that of the open checkpoint.
    """

    version: int
    state: State | None
    open: tuple[bytes, ...] = ()
    requester: str | None = None
    readers: tuple[str, ...] | None = ()
    task: Task | None = None

    @property
    def size(self) -> int:
        """Bytes of `open`."""
        return sum(map(len, self.open)) if self.open else 0


class RunStates:
    """An LRU map of `count` runs, in about `size` bytes of records.

    By hand: it has two bounds, and cachetools' map, which has one, takes 1.6 times as long (measured).
    """

    def __init__(self, count: int = 10_000, size: int = 16 * 1024 * 1024) -> None:
        self._runs: OrderedDict[str, TrackedRun] = OrderedDict()
        self._count = count
        self._max_size = size
        self._size = 0

    def has_seen(self, header: EventHeader) -> bool:
        """Say whether this event, or a later one of its run, was put here. False once the run was evicted."""
        run = self._runs.get(header.run_id)
        return run is not None and header.version <= run.version

    def before(self, header: EventHeader) -> TrackedRun | None:
        """Return the run as it was right before this event; None when that is not here."""
        run = self._runs.get(header.run_id)
        return run if run is not None and run.version == header.version - 1 else None

    def find(self, run_id: str) -> TrackedRun | None:
        """Return a run at its latest version here."""
        return self._runs.get(run_id)

    def put(self, run_id: str, run: TrackedRun) -> None:
        """Hold a run; evict the least recently put ones when a bound is passed."""
        before = self._runs.pop(run_id, None)
        self._size += run.size - (before.size if before else 0)
        self._runs[run_id] = run
        while len(self._runs) > self._count or self._size > self._max_size:
            self._size -= self._runs.popitem(last=False)[1].size


def evolve(before: TrackedRun | None, header: EventHeader, value: bytes) -> TrackedRun:
    """Return the run after an event; `before` is None when the run before it is not known.

    Raises ValueError when the event opens a checkpoint of an unknown step.
    """
    effect = header.effect
    first = State.CREATED if header.version == 1 else None
    state = header.state_after(before.state if before else first)
    task = _task(before, header, value)
    readers = (before.readers if before else None) if header.version > 1 else ()
    if readers is not None:
        readers = entries_after(readers, task, effect, header.principal)
    records: tuple[bytes, ...] = ()
    if effect.opens:
        records = (value,)
    elif before is not None and before.open and not effect.closes:
        records = (*before.open, value)
    return TrackedRun(header.version, state, records, _requester(before, header), readers, task)


def _task(before: TrackedRun | None, header: EventHeader, value: bytes) -> Task | None:
    effect, facts = header.effect, header.data
    if effect.opens:
        rules = facts.get("rules")
        return open_task(rules if isinstance(rules, ReviewRules) else None, header.moment, facts.get("revised_by"))
    if before is None or before.task is None or effect.closes:
        return None
    if effect.on_task:
        event = RunEvent.parse(value)
        return fold_task(before.task, event.data, event)
    return before.task


def _requester(before: TrackedRun | None, header: EventHeader) -> str | None:
    if header.version == 1:
        return None if header.principal is None else header.principal.person
    return None if before is None else before.requester


def open_checkpoint(run: TrackedRun) -> Checkpoint | None:
    """Return the run's open checkpoint, as its view shows it. Raises pydantic.ValidationError."""
    if len(run.open) == 1:
        return read_checkpoint(run.open[0])
    view: RunView | None = None
    for value in run.open:
        view = project(view, RunEvent.parse(value))
    return view.checkpoint if view else None


class _Opening(Checkpoint):
    subject_schema: ComposedObject = Field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
    rules: ReviewRules | None = None
    revised_by: str | None = None
    opened_at: Timestamp | None = None  # type: ignore[assignment] # the record has it, not its facts


class _Opened(Message):
    at: Timestamp
    data: _Opening


def read_checkpoint(value: bytes) -> Checkpoint:
    """Return the checkpoint that a record opens, as the run's view shows it. Raises pydantic.ValidationError."""
    opened = _Opened.model_validate_json(value)
    task = open_task(opened.data.rules, opened.at, opened.data.revised_by)
    members = {**opened.data.__dict__, "opened_at": opened.at, "task": task}
    del members["rules"], members["revised_by"]
    return Checkpoint.of(**members)


def fold(history: Iterable[bytes], until: int) -> TrackedRun | None:
    """Return the run right before version `until`; None when `history` does not reach so far. Raises ValueError."""
    run: TrackedRun | None = None
    for value in history:
        header = EventHeader.parse(value)
        if header.version < until:
            run = evolve(run, header, value)
    return run if run is not None and run.version == until - 1 else None
