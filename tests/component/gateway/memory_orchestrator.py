"""An orchestrator in memory: decides commands with the real core, appends to the ledger under a read model, and publishes."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from contracts.runs.commands import Command, parse_command
from contracts.runs.outcomes import Accepted, Outcome, Refused
from contracts.runs.run_event import RunEvent
from contracts.topics import EVENTS
from gateway.testing.adapters import MemoryBroker
from gateway.testing.memory import MemoryTables
from orchestrator.runs import Refusal, Run, decide
from testkit.runs import invariants
from testkit.runs.specification import Story


class MemoryOrchestrator:
    """The runs that it decides on. `on_decision` is called before it answers; where it `is_late`, no answer comes in time.

    Where it `holds_events_back`, the read model hears of nothing that is decided until `hand_over`.
    """

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables
        self._runs: dict[UUID, Run] = {}
        self.broker = MemoryBroker(self.decide)
        self.is_late = False
        self.holds_events_back = False
        self._held: list[RunEvent] = []
        self.on_decision: Callable[[], object] = lambda: None

    async def tell(self, story: Story) -> UUID:
        """Take over a run as a story left it, and publish what happened to it; return its id."""
        run_id = story.now.run_id
        self._runs[run_id] = story.now
        await self._publish(story.history)
        return run_id

    async def decide(self, command: Command) -> Outcome | None:
        """Decide a command and publish its events; None where the outcome is late."""
        run = self._runs.get(command.run_id)
        try:
            events = decide(parse_command(command.model_dump_json().encode()), run)
        except Refusal as refusal:
            return Refused(
                command_id=command.command_id,
                run_id=command.run_id,
                code=refusal.code,
                message=refusal.message,
                details=refusal.details,
            )
        run, view = invariants.carry(run, run.view if run else None, events)
        self._runs[command.run_id] = run
        if self.holds_events_back:
            self._held += events
        else:
            await self._publish(events)
        self.on_decision()
        return None if self.is_late else Accepted(command_id=command.command_id, run_id=command.run_id, view=view)

    async def hand_over(self) -> None:
        """Publish what was held back, and hold nothing back any more."""
        held, self._held, self.holds_events_back = tuple(self._held), [], False
        await self._publish(held)

    async def _publish(self, events: tuple[RunEvent, ...]) -> None:
        values = [event.to_bytes() for event in events]
        for value in values:
            self._tables.append(value)
        await self.broker.deliver(EVENTS, *values)
