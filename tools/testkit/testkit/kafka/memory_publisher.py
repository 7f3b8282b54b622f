"""A publisher in memory: keeps the records in order, and acknowledges them when the test says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord

from contracts.providers.orders import Order, parse_order
from contracts.runs.outcomes import Accepted, Outcome, parse_outcome
from contracts.runs.run_event import RunEvent
from contracts.topics import COMMANDS, EVENTS, OUTCOMES, WORK
from messaging.records import Outgoing


class MemoryPublisher:
    """The `Publisher` port. Acknowledges at once; while `held`, at each `release`."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.held = False
        self._open = asyncio.Event()
        self._open.set()
        self._unacknowledged: list[asyncio.Future[Any]] = []

    async def send_all(self, records: Iterable[Outgoing]) -> list[asyncio.Future[Any]]:
        """Take records."""
        await self._open.wait()
        self.sent += records
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.held:
            self._unacknowledged.append(future)
        else:
            future.set_result(None)
        return [future]

    def close(self) -> None:
        """Take nothing more until `open`, as a producer with a full buffer does."""
        self._open.clear()

    def open(self) -> None:
        """Take records again."""
        self._open.set()

    def release(self, error: Exception | None = None) -> None:
        """Acknowledge the first call that is not acknowledged yet, or fail it for good."""
        future = self._unacknowledged.pop(0)
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def take(self) -> Publications:
        """Return what was sent since the last call."""
        sent, self.sent = self.sent, []
        return Publications(sent)


def read(records: Iterable[ConsumerRecord]) -> Publications:
    """Return records read from Kafka as publications."""
    return Publications([Outgoing(r.topic, r.key, r.value, r.headers, r.partition) for r in records])


class Publications:
    """Records that were sent, read by topic."""

    def __init__(self, sent: list[Outgoing]) -> None:
        self.sent = sent

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.sent)

    def on(self, topic: str) -> list[Outgoing]:
        """Return the records of a topic."""
        return [record for record in self.sent if record.topic == topic]

    def events(self, run_id: UUID | None = None) -> list[RunEvent]:
        """Return the events, of one run or of all."""
        read = [RunEvent.parse(record.value or b"") for record in self.on(EVENTS.name)]
        return [event for event in read if run_id in (None, event.run_id)]

    def kinds(self, run_id: UUID | None = None) -> list[str]:
        """Return the kinds of the events, in order."""
        return [event.kind for event in self.events(run_id)]

    def orders(self) -> list[Order]:
        """Return the orders."""
        return [parse_order(record.value or b"") for record in self.on(WORK.name)]

    def outcomes(self, command_id: UUID | None = None) -> list[Outcome]:
        """Return the outcomes, of one command or of all."""
        read = [parse_outcome(record.value or b"") for record in self.on(OUTCOMES.name)]
        return [outcome for outcome in read if command_id in (None, outcome.command_id)]

    def answer(self, command_id: UUID) -> str:
        """Return the one answer to a command: `accepted`, or the code of its refusal."""
        (outcome,) = self.outcomes(command_id)
        return "accepted" if isinstance(outcome, Accepted) else outcome.code

    def dead(self) -> list[Outgoing]:
        """Return the dead letters."""
        return self.on(COMMANDS.dead)

    def as_bytes(self) -> list[tuple[str, int | None, bytes | None, bytes | None, str]]:
        """Return all records as they would lie in their partitions, sorted for comparing."""
        return sorted(
            (
                (sent.topic, sent.partition, sent.key, sent.value, json.dumps([(n, v.hex()) for n, v in sent.headers]))
                for sent in self.sent
            ),
            key=str,
        )
