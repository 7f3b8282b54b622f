"""A batch as one statement. What it holds nothing of is left out, so that PostgreSQL plans each form once and reads no empty arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from eventsourcing.persistence import StoredEvent

from orchestrator.ports import Batch, RefusedRequest
from orchestrator.runs.react import Deadline

_Values = dict[str, Any]

_MOVED = """
UPDATE ledger.intake AS i SET position = m.after
FROM unnest(%(partitions)b::int4[], %(before)b::int8[], %(after)b::int8[]) AS m (partition, before, after)
WHERE i.log_id = %(log_id)b AND i.partition = m.partition AND i.position = m.before
RETURNING i.partition"""

_PARTS = {
    "known": """
SELECT 1 FROM ledger.decisions WHERE run_id = ANY(%(begun)b)
UNION ALL SELECT 1 FROM ledger.refusals WHERE run_id = ANY(%(begun)b)""",
    "written": """
INSERT INTO ledger.decisions (run_id, version, events)
SELECT * FROM unnest(%(runs)b::uuid[], %(versions)b::int4[], %(events)b::bytea[])""",
    # The first answer stands: a command delivered again is not refused anew.
    "refused": """
INSERT INTO ledger.refusals (run_id, command_id, request_sha256, outcome)
SELECT * FROM unnest(%(refusing)b::uuid[], %(refused)b::uuid[], %(digests)b::text[], %(outcomes)b::bytea[])
ON CONFLICT DO NOTHING""",
    "awaiting": """
INSERT INTO ledger.deadlines (run_id, due_at, at, tenant, kind, about, count)
SELECT run_id, at, at, tenant, kind, about, count
FROM unnest(%(waiting)b::uuid[], %(at)b::timestamptz[], %(tenant)b::text[], %(kind)b::text[], %(about)b::text[],
    %(count)b::int4[]) AS said (run_id, at, tenant, kind, about, count)
ON CONFLICT (run_id) DO UPDATE SET
    due_at = excluded.due_at, at = excluded.at, kind = excluded.kind, about = excluded.about, count = excluded.count""",
    "cleared": "DELETE FROM ledger.deadlines WHERE run_id = ANY(%(cleared)b)",
}


def write(log_id: str, batch: Batch, decisions: Sequence[StoredEvent]) -> tuple[str, _Values]:
    """Return the statement that writes all of `batch`, whose events are those of `decisions`, or fails; and its values."""
    values: _Values = {"log_id": log_id, "moves": len(batch.moves)}
    values |= _columns(batch.moves, partitions="partition", before="before", after="after")
    parts = []
    for part, its_values in _parts(batch, decisions):
        parts.append(part)
        values |= its_values
    return _statement(*parts), values


def _parts(batch: Batch, decisions: Sequence[StoredEvent]) -> Iterator[tuple[str, _Values]]:
    if batch.begun:
        yield "known", {"begun": list(batch.begun)}
    if decisions:
        yield "written", _columns(decisions, runs="originator_id", versions="originator_version", events="state")
    if batch.refusals:
        yield "refused", _refused(batch.refusals)
    awaiting = [deadline for deadline in batch.deadlines if deadline.due is not None]
    if awaiting:
        yield "awaiting", _awaiting(awaiting)
    if len(awaiting) < len(batch.deadlines):
        yield "cleared", {"cleared": [deadline.run_id for deadline in batch.deadlines if deadline.due is None]}


@cache
def _statement(*parts: str) -> str:
    # Fails, and all that is written with it, unless every position stood where it should and no run that was taken to
    # begin is known: SQL has no other way to insist.
    holds = "(SELECT count(*) FROM moved) = %(moves)b::int8"
    if "known" in parts:
        holds += " AND (SELECT count(*) FROM known) = 0"
    named = ",".join(f"\n{part} AS ({_PARTS[part]})" for part in parts)
    return f"WITH moved AS ({_MOVED}){named and ','}{named}\nSELECT 1 / ({holds})::int"


def _refused(refusals: Sequence[RefusedRequest]) -> _Values:
    told = [refusal.outcome for refusal in refusals]
    outcomes = [outcome.model_dump_json().encode() for outcome in told]
    digests = [refusal.request_sha256 for refusal in refusals]
    return {**_columns(told, refusing="run_id", refused="command_id"), "digests": digests, "outcomes": outcomes}


def _awaiting(deadlines: Sequence[Deadline]) -> _Values:
    due = [deadline.due for deadline in deadlines]
    said = {name: name for name in ("at", "tenant", "kind", "about", "count")}
    return {"waiting": [deadline.run_id for deadline in deadlines], **_columns(due, **said)}


def _columns(rows: Sequence[Any], **names: str) -> _Values:
    return {column: [getattr(row, name) for row in rows] for column, name in names.items()}
