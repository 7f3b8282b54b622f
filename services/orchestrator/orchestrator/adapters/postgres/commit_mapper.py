"""Decisions as rows of the ledger, in the terms of the `eventsourcing` library: to it, a decision is one domain event.

The library's own mapper stores Python import paths and a row for each event; ours stores the bytes that are published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from contracts.ledger_schema import decision_of, events_of
from contracts.runs.run_event import RunEvent
from orchestrator.ports import Recorded


class Decision(NamedTuple):
    """What one command did to a run, in order."""

    events: Sequence[Recorded]

    @property
    def originator_id(self) -> UUID:
        """The run, as the library names it."""
        return self.events[0].event.run_id

    @property
    def originator_version(self) -> int:
        """The version of its first event, as the library names it."""
        return self.events[0].event.version


def decisions(events: Iterable[Recorded]) -> list[Decision]:
    """Put together the events that one command caused, which stand side by side."""
    return [Decision(list(caused)) for _, caused in groupby(events, _caused_by)]


def _caused_by(recorded: Recorded) -> tuple[UUID, UUID]:
    return recorded.event.run_id, recorded.event.cause


class DecisionMapper(Mapper[UUID]):
    """Stores a decision as the bytes that its events are published as."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Return the row of a `Decision`. It has no name of its own: its events say what they are."""
        state = decision_of(recorded.body for recorded in domain_event.events)
        return StoredEvent(domain_event.originator_id, domain_event.originator_version, "", state)

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Return the `Decision` of a row."""
        return Decision([Recorded(RunEvent.parse(body), body) for body in events_of(stored_event.state)])
