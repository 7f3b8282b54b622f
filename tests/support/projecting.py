"""Histories as the read model gets them: events of real stories, under ids of one's own, and the records that carry them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from contracts.kafka import Confirming, Outgoing
from contracts.runs.events import RunEvent
from contracts.runs.views import RunView, project
from contracts.topics import EVENTS
from gateway.arrivals import Arrivals
from gateway.ports import Tables
from gateway.projection import Recorded
from gateway.projector import Projector
from support.deciding import Story


def history_of(story: Story, run_id: UUID | None = None, **members: Any) -> list[Recorded]:
    """Return the events of a story as they were recorded, told of another run, with checkpoints of its own, if one is named."""
    return [recorded(_moved(event.model_copy(update=members), run_id)) for event in story.history]


def view_of(events: Iterable[Recorded]) -> RunView:
    """Return the view of an unbroken row of events."""
    view = None
    for item in events:
        view = project(view, item.event)
    assert view is not None
    return view


def recorded(event: RunEvent) -> Recorded:
    """Return an event as it is read from its record."""
    return Recorded.parse(event.to_bytes())


def _moved(event: RunEvent, run_id: UUID | None) -> RunEvent:
    if run_id is None:
        return event
    data, checkpoint_id = event.data, getattr(event.data, "checkpoint_id", None)
    if checkpoint_id is not None:
        data = data.model_copy(update={"checkpoint_id": uuid5(run_id, str(checkpoint_id))})
    return event.model_copy(update={"run_id": run_id, "data": data})


@dataclass
class Record:
    """A record as Kafka holds it."""

    value: bytes | None
    offset: int = 0
    partition: int = 0
    topic: str = EVENTS.name
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Letters:
    """Where dead letters go."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []

    async def send_all(self, letters: Sequence[Outgoing]) -> list[asyncio.Future[Any]]:
        """Take letters; they have arrived."""
        self.sent += letters
        return []


class Feed:
    """A projector, the records it was given, and what became of them. Records are numbered as they are fed."""

    def __init__(self, tables: Tables) -> None:
        self._letters = Letters()
        self.committed: dict[int, int] = {}
        self.failures: list[BaseException] = []
        self.arrivals = Arrivals()
        self._confirming = Confirming(self._commit)
        self.projector = Projector(
            tables, self.arrivals, self._letters.send_all, self._confirming, self.failures.append
        )
        self._offset = 0

    @property
    def letters(self) -> list[Outgoing]:
        """The dead letters that were written."""
        return self._letters.sent

    async def give(self, *values: bytes | Recorded | None) -> None:
        """Let the projector take in one batch, and commit what it has confirmed."""
        records = [
            Record(value.text.encode() if isinstance(value, Recorded) else value, self._offset + number)
            for number, value in enumerate(values)
        ]
        self._offset += len(records)
        following = asyncio.create_task(self._confirming.follow())
        try:
            await self.projector.on_records(records)
            await self._confirming.settle()
        finally:
            following.cancel()

    async def give_all(self, batches: Iterable[Sequence[Recorded]]) -> None:
        """Let the projector take in batches one after the other."""
        for batch in batches:
            await self.give(*batch)

    async def _commit(self, offsets: Any) -> None:
        self.committed |= offsets
