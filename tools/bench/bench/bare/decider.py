"""The next step of a run after a command, filled in from a template. No I/O, no refusals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from pydantic_core import to_json

from bench.bare.steps import IS_JSON, Headers, Json, Step, filled


@dataclass(slots=True)
class _Run:
    step: int
    version: int
    checkpoint_id: str
    began: str


@dataclass(frozen=True, slots=True)
class Commit:
    """The events, order and outcome of one command. `version` is that of the first event; each event has its headers."""

    run_id: str
    version: int
    events: list[tuple[Headers, bytes]]
    order: bytes | None
    outcome: bytes | None


class Decider:
    """Keeps the runs in progress, in memory alone."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._runs: dict[str, _Run] = {}

    def decide(self, command: Json, now: str) -> Commit:
        """Take the run's next step. Raises AssertionError when another command or checkpoint was due."""
        run_id = command["run_id"]
        run = self._runs.setdefault(run_id, _Run(0, 0, "", now))
        step, version = self._steps[run.step], run.version + 1
        assert command["kind"] == step.command["kind"], f"{command['kind']} at step {run.step}"
        assert command.get("checkpoint_id", run.checkpoint_id) == run.checkpoint_id, "another checkpoint waits"
        run.step += 1
        run.version += len(step.events)
        if any(event["kind"] == "checkpoint-opened.v1" for event in step.events):
            run.checkpoint_id = new_id()
        if run.step == len(self._steps):
            del self._runs[run_id]
        said = {"checkpoint_id": run.checkpoint_id, "work_id": f"{run_id}.{run.version}", **command, "at": now}
        said["cause"] = command["command_id"]
        events = [_event(event, said, version + place) for place, event in enumerate(step.events)]
        order = step.order and to_json(filled(step.order, {**said, "kind": step.order["kind"]}))
        outcome = step.outcome and to_json(_outcome(step.outcome, command, run, now))
        return Commit(run_id, version, events, order or None, outcome or None)


def new_id() -> str:
    """Return a random UUID; `uuid4` takes twice as long."""
    return str(UUID(bytes=os.urandom(16), version=4))


def _event(template: Json, said: Json, version: int) -> tuple[Headers, bytes]:
    data = filled(template["data"], said)
    event = filled(template, {**said, "kind": template["kind"], "version": version, "data": data})
    headers = [(name, event[name].encode()) for name in ("kind", "tenant", "user_id", "session_id")]
    return headers + IS_JSON, to_json(event)


def _outcome(template: Json, command: Json, run: _Run, now: str) -> Json:
    run_id = command["run_id"]
    view = {"run_id": run_id, "version": run.version, "created_at": run.began, "updated_at": now}
    return filled(
        template, {"command_id": command["command_id"], "run_id": run_id, "view": filled(template["view"], view)}
    )
