"""What tests write into a ledger: an event, a refusal, a deadline, and a batch that moves one partition."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from pydantic_core import to_json

from contracts.runs import events as e
from contracts.runs.outcomes import Refused
from contracts.runs.run_event import RunEvent
from orchestrator.ports import Batch, Ledger, Move, Store, StoredEvent, StoredRefusal
from orchestrator.runs import Deadline, Due

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ASKED = uuid4()
"""The run that refuses."""


def recorded(run_id: UUID, version: int, reason: str = "because", cause: UUID | None = None) -> StoredEvent:
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
    return StoredEvent(run_id, event, event.to_bytes())


def refusal(of: UUID, code: str = "not_allowed", request_sha256: str | None = None) -> StoredRefusal:
    """Return a refusal to remember."""
    outcome = Refused(command_id=of, run_id=ASKED, code=code, message="no")
    return StoredRefusal(of, ASKED, request_sha256, to_json(outcome))


def due(run_id: UUID, at: datetime, attempt: int = 1) -> Deadline:
    """Return a time that a run waits for."""
    return Deadline(run_id, Due("expire-lease.v1", "default", at, "w", attempt))


async def write(ledger: Ledger, before: int, after: int, *, partition: int = 0, **what: Sequence[object]) -> None:
    """Write a batch that moves one partition."""
    await ledger.positions([partition])
    await ledger.transact(Batch([Move(partition, before, after)], **what))  # type: ignore[arg-type]


async def contents(store: Store, *stream_ids: UUID) -> tuple[object, ...]:
    """Return all that a ledger tells of itself: commits in order, what these streams refused, positions, what waits."""
    loaded = await store.load([*stream_ids, ASKED])
    return (
        await store.events_from(1, 1000),
        loaded.refusals,
        await store.positions(range(4)),
        await store.waiting(UUID(int=0), 1000),
    )
