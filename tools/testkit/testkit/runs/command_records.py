"""Commands as records of `run.commands`, and a log in memory, for tests of the intake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from contracts.providers.call import Execution, Failure, Preparation
from contracts.runs import commands as c
from contracts.runs.requests import RunRequest
from contracts.topics import COMMANDS
from messaging.records import Outgoing, key_of

CONFIG: dict[str, Any] = {"policy": "require_human", "allowed_steps": ["payload_review"], "lease_seconds": 3600}
"""One review, and a lease that outlasts every test."""


def _about(run_id: UUID | None = None) -> dict[str, Any]:
    return {"command_id": uuid4(), "run_id": run_id or uuid4(), "at": datetime.now(UTC)}


def start(
    run_id: UUID | None = None, *, hitl: dict[str, Any] | None = None, prompt: str = "p", **members: Any
) -> c.StartRun:
    """Start a run that stops at its payload review; `hitl` changes its review configuration."""
    request = RunRequest.model_validate({"prompt": prompt, "hitl_config": {**CONFIG, **(hitl or {})}})
    return c.StartRun(**{**_about(run_id), "request": request, **members})


def prepared(run_id: UUID, payload: dict[str, Any] | None = None, **members: Any) -> c.RecordPreparation:
    """Answer the first order to prepare."""
    preparation = Preparation(
        provider="sandbox", model=None, operation="text", payload=payload or {"prompt": "p"}, payload_schema={}
    )
    return c.RecordPreparation(**{**_about(run_id), **_first(run_id), "preparation": preparation, **members})


def approve(run_id: UUID, **members: Any) -> c.ApproveCheckpoint:
    """Approve what waits."""
    return c.ApproveCheckpoint(**{**_about(run_id), "actor": "ann", **members})


def executed(run_id: UUID, version: int, response: dict[str, Any] | None = None) -> c.RecordExecution:
    """Answer the call that the event with `version` ordered."""
    work = {"work_id": f"{run_id}.{version}", "attempt": 1}
    return c.RecordExecution(**_about(run_id), **work, execution=Execution(response=response or {"text": "t"}))


def failed(run_id: UUID, **facts: Any) -> c.RecordFailure:
    """Say that the first preparation failed."""
    failure = Failure(**{"code": "provider_error", "message": "it broke", **facts})
    return c.RecordFailure(**_about(run_id), **_first(run_id), failure=failure)


def cancel(run_id: UUID, **members: Any) -> c.CancelRun:
    """Cancel the run."""
    return c.CancelRun(**{**_about(run_id), **members})


def _first(run_id: UUID) -> dict[str, Any]:
    return {"work_id": f"{run_id}.1", "attempt": 1}


def outgoing(command: c.Command) -> Outgoing:
    """Return a command as its sender sends it."""
    return Outgoing(COMMANDS.name, key_of(command.run_id), command.model_dump_json().encode())


@dataclass(eq=False)
class Record:
    """A record as a consumer gets it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    topic: str = COMMANDS.name


@dataclass
class Log:
    """`run.commands` in memory: gives each record its offset and keeps them all."""

    records: list[Record] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)

    def write(self, *commands: c.Command, partition: int = 0) -> list[Record]:
        """Append commands to a partition; return their records."""
        return [self.put(key_of(each.run_id), each.model_dump_json().encode(), partition) for each in commands]

    def put(
        self, key: bytes | None, value: bytes | None, partition: int = 0, headers: Sequence[tuple[str, bytes]] = ()
    ) -> Record:
        """Append any bytes."""
        offset = self.ends.get(partition, 0)
        record = Record(partition, offset, key, value, headers)
        self.ends[partition] = offset + 1
        self.records.append(record)
        return record
