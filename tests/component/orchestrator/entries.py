"""What tests write into a ledger: an event, a refusal, a deadline, and a batch that moves one partition."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from contracts.runs import events as e
from contracts.runs.outcomes import Refused
from contracts.runs.run_event import RunEvent
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.ports import Batch, Move, Recorded, RefusedRequest
from orchestrator.runs import Deadline, Due

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ASKED = uuid4()
"""The run that refuses."""


def recorded(run_id: UUID, version: int, reason: str = "because", cause: UUID | None = None) -> Recorded:
    """Return an event in its place."""
    event = RunEvent(
        kind=e.RunPaused.kind,
        run_id=run_id,
        version=version,
        at=NOW,
        tenant="default",
        user_id=None,
        session_id=None,
        actor="ann",
        cause=cause or uuid4(),
        data=e.RunPaused(reason=reason),
    )
    return Recorded(event, event.to_bytes())


def refusal(of: UUID, code: str = "not_allowed", request_sha256: str | None = None) -> RefusedRequest:
    """Return a refusal to remember."""
    return RefusedRequest(Refused(command_id=of, run_id=ASKED, code=code, message="no"), request_sha256)


def due(run_id: UUID, at: datetime, attempt: int = 1) -> Deadline:
    """Return a time that a run waits for."""
    return Deadline(run_id, Due("expire-lease.v1", "default", at, "w", attempt))


async def write(
    ledger: PostgresLedger, before: int, after: int, *, partition: int = 0, **what: Sequence[object]
) -> None:
    """Write a batch that moves one partition."""
    await ledger.positions([partition])
    await ledger.transact(Batch([Move(partition, before, after)], **what))  # type: ignore[arg-type]
