"""Commits as rows of the ledger, in the terms of the `eventsourcing` library: to it, a commit is one domain event.

The library's own mapper stores Python import paths and a row for each event; ours stores the bytes that are published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from eventsourcing.persistence import JSONTranscoder, Mapper
from eventsourcing.persistence import StoredEvent as Row

from contracts.ledger_schema import commit_of, events_of
from orchestrator.aggregate import Event
from orchestrator.ports import StoredEvent


class Commit(NamedTuple):
    """All events that one command caused in one stream, in order."""

    events: Sequence[StoredEvent]

    @property
    def originator_id(self) -> UUID:
        """The stream, as the library names it."""
        return self.events[0].stream_id

    @property
    def originator_version(self) -> int:
        """The version of its first event, as the library names it."""
        return self.events[0].event.version


def commits(events: Iterable[StoredEvent]) -> list[Commit]:
    """Group events that one command caused, which stand side by side."""
    return [Commit(list(caused)) for _, caused in groupby(events, _cause)]


def _cause(stored: StoredEvent) -> tuple[UUID, UUID]:
    return stored.stream_id, stored.event.cause


class CommitMapper(Mapper[UUID]):
    """Stores a commit as the bytes that its events are published as."""

    def __init__(self, parse_event: Callable[[bytes], Event]) -> None:
        super().__init__(JSONTranscoder())
        self._parse_event = parse_event

    def to_stored_event(self, domain_event: Any) -> Row:
        """Return the row of a `Commit`. It has no name of its own: its events have kinds."""
        state = commit_of(stored.body for stored in domain_event.events)
        return Row(domain_event.originator_id, domain_event.originator_version, "", state)

    def to_domain_event(self, stored_event: Row) -> Any:
        """Return the `Commit` of a row."""
        stream_id, parse = stored_event.originator_id, self._parse_event
        assert isinstance(stream_id, UUID)
        return Commit([StoredEvent(stream_id, parse(body), body) for body in events_of(stored_event.state)])
