"""The events of one decision as they unfold: each put in its place, the run evolved, and what follows by itself told too."""

from __future__ import annotations

from datetime import datetime

from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from orchestrator.runs.evolve import evolve
from orchestrator.runs.flow import next_event
from orchestrator.runs.refusals import RunNotFound
from orchestrator.runs.state import Run


class Story:
    """The events of one decision as they unfold, each in its place, and the run after them."""

    def __init__(self, command: c.AnyCommand, run: Run | None) -> None:
        self._command = command
        self._run = run
        self.events: list[RunEvent] = []

    @property
    def run(self) -> Run:
        """The run as it stands now. Raises RunNotFound before it was started."""
        if self._run is None:
            raise RunNotFound
        return self._run

    @property
    def at(self) -> datetime:
        """When the command was taken in."""
        return self._command.at

    def tell(self, *events: e.Event) -> None:
        """Record events of this command and evolve the run."""
        for event in events:
            self._tell(event, self._command.actor)

    def advance(self) -> None:
        """Record what follows by itself."""
        while (event := next_event(self.run, self.at)) is not None:
            self._tell(event, c.SYSTEM)

    def _tell(self, event: e.Event, actor: str) -> None:
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
