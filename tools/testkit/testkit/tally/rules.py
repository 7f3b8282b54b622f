"""The tally's pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.notices import ChildEnded, child_id
from contracts.runs.requests import RunRequest
from orchestrator.aggregate import Answered
from orchestrator.refusals import IdempotencyKeyReused, Refusal
from testkit.tally import messages as m


class TallyNotFound(Refusal):
    """There is no such tally."""

    code = "tally_not_found"
    remembered = False


class TallyAlreadyOpen(Refusal):
    """A tally with this id was opened by another command."""

    code = "tally_already_open"


class NotAnOpenChild(Refusal):
    """The tally has no such child, or has counted it."""

    code = "not_an_open_child"
    remembered = False


class NotDue(Refusal):
    """The open children were asked again since, or there are none."""

    code = "not_due"
    remembered = False


@dataclass(frozen=True)
class Tally:
    """One tally at one version. `asked` is the version of the event that last started or asked its children."""

    stream_id: UUID
    tenant: str
    request: RunRequest
    children: int
    patience: timedelta
    updated_at: datetime
    ask_at: datetime
    version: int = 1
    round: int = 0
    asked: int = 1
    closed: bool = False
    counted: Mapping[str, str] = field(default_factory=dict)
    answered: Mapping[UUID, Answered] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether all children are counted."""
        return self.closed

    @property
    def open_children(self) -> list[str]:
        """The names of children that are not counted."""
        return [path for path in map(str, range(self.children)) if path not in self.counted]

    @property
    def counts(self) -> dict[str, int]:
        """How many children ended in which way."""
        return dict(sorted(Counter(self.counted.values()).items()))


def decide(command: m.AnyCommand, tally: Tally | None) -> tuple[list[m.TallyEvent], Tally]:
    """Return the events that a command causes and the tally after them; no events if it took effect before. Raises Refusal."""
    if tally is not None and command.command_id in tally.answered:
        if tally.answered[command.command_id].request_sha256 != command.request_sha256:
            raise IdempotencyKeyReused
        return [], tally
    events: list[m.TallyEvent] = []
    for data in _facts(command, tally):
        version = 1 if tally is None else tally.version + 1
        event = m.TallyEvent(
            kind=data.kind,
            stream_id=command.stream_id,
            version=version,
            at=command.at,
            tenant=command.tenant,
            cause=command.command_id,
            request_sha256=command.request_sha256,
            data=data,
        )
        events.append(event)
        tally = evolve(tally, event)
    assert tally is not None
    if not tally.open_children and not tally.closed:
        event = events[-1].changed(
            {"version": tally.version + 1, "kind": m.TallyClosed.kind, "data": m.TallyClosed(counts=tally.counts)}
        )
        events.append(event)
        tally = evolve(tally, event)
    return events, tally


def _facts(command: m.AnyCommand, tally: Tally | None) -> list[m.Event]:
    match command:
        case m.OpenTally():
            if tally is not None:
                raise TallyAlreadyOpen
            ask_at = command.at + timedelta(seconds=command.patience_seconds)
            patience = command.patience_seconds
            return [
                m.TallyOpened(
                    children=command.children, request=command.request, patience_seconds=patience, ask_at=ask_at
                )
            ]
        case m.AskAgain():
            if tally is None or tally.closed or tally.round != command.round:
                raise NotDue
            return [m.ChildrenAsked(round=tally.round + 1, ask_at=command.at + tally.patience)]
        case ChildEnded():
            if tally is None:
                raise TallyNotFound
            if command.path not in tally.open_children or command.child_id != child_id(tally.stream_id, command.path):
                raise NotAnOpenChild
            return [m.ChildCounted(path=command.path, child_id=command.child_id, state=command.state)]


def evolve(tally: Tally | None, event: m.TallyEvent) -> Tally:
    """Return the tally after an event."""
    data = event.data
    if tally is None:
        assert isinstance(data, m.TallyOpened), "a history begins with tally-opened"
        patience = timedelta(seconds=data.patience_seconds)
        tally = Tally(event.stream_id, event.tenant, data.request, data.children, patience, event.at, data.ask_at)
    answered = {**tally.answered, event.cause: Answered(event.version, event.request_sha256)}
    tally = replace(tally, version=event.version, updated_at=event.at, answered=answered)
    match data:
        case m.ChildCounted():
            return replace(tally, counted={**tally.counted, data.path: data.state})
        case m.ChildrenAsked():
            return replace(tally, round=data.round, ask_at=data.ask_at, asked=event.version)
        case m.TallyClosed():
            return replace(tally, closed=True)
    return tally


def fold(events: Iterable[m.TallyEvent]) -> Tally | None:
    """Return the tally that a history leads to."""
    tally = None
    for event in events:
        tally = evolve(tally, event)
    return tally
