"""The commit of one command: its events in their places, and the run after each of them."""

from __future__ import annotations

from datetime import datetime

from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from orchestrator.runs.evolve import evolve
from orchestrator.runs.flow import next_event
from orchestrator.runs.refusals import RunNotFound
from orchestrator.runs.state import Run


class Commit:
    """All events of one command. The run evolves with each event that is appended."""

    def __init__(self, command: c.AnyCommand, run: Run | None) -> None:
        self._command = command
        self._run = run
        self.events: list[RunEvent] = []

    @property
    def run(self) -> Run:
        """The run after the events so far. Raises RunNotFound before the run has started."""
        if self._run is None:
            raise RunNotFound
        return self._run

    @property
    def at(self) -> datetime:
        """The time of the command, as the intake stamped it."""
        return self._command.at

    def append(self, *events: e.Event) -> None:
        """Append events that the command's actor caused."""
        for event in events:
            self._append(event, self._command.actor)

    def advance(self) -> None:
        """Append the events that the run adds by itself."""
        while (event := next_event(self.run, self.at)) is not None:
            self._append(event, c.SYSTEM)

    def _append(self, event: e.Event, actor: str) -> None:
        command, run = self._command, self._run
        owner = command.request if isinstance(command, c.StartRun) else self.run.request
        record = RunEvent.of(
            kind=event.kind,
            run_id=command.run_id,
            version=run.version + 1 if run else 1,
            at=command.at,
            tenant=run.tenant if run else command.tenant,
            user_id=owner.user_id,
            session_id=owner.session_id,
            actor=actor,
            cause=command.command_id,
            request_sha256=command.request_sha256,
            data=event,
        )
        self.events.append(record)
        self._run = evolve(run, record)
