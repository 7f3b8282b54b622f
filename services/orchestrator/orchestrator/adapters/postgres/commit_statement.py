"""A batch as one statement, put together of parts. Parts that a batch does not need are left out, so PostgreSQL plans each form once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from eventsourcing.persistence import StoredEvent

from chassis.postgres.named_queries import named_queries
from orchestrator.aggregate import Deadline
from orchestrator.ports import Batch

_PARTS = named_queries(__package__, "batch_parts.sql")

_Values = dict[str, Any]


def batch_statement(
    log_id: str, topic: str, aggregate: str, batch: Batch, commits: Sequence[StoredEvent]
) -> tuple[str, list[Any]]:
    """Return the statement that writes all of `batch` or fails, and its values. `commits` are the rows of its events."""
    values: _Values = {"log_id": log_id, "topic": topic, "aggregate": aggregate, "moves": len(batch.moves)}
    values |= _columns(batch.moves, partitions="partition", before="before", after="after")
    parts = []
    for part, its_values in _parts(batch, commits):
        parts.append(part)
        values |= its_values
    statement, names = _statement(*parts)
    return statement, [values[name] for name in names]


def _parts(batch: Batch, commits: Sequence[StoredEvent]) -> Iterator[tuple[str, _Values]]:
    if batch.begun:
        yield "known", {"begun": list(batch.begun)}
    if commits:
        yield "written", _columns(commits, streams="originator_id", versions="originator_version", events="state")
    if batch.refusals:
        names = {"refusing": "stream_id", "refused": "command_id", "digests": "request_sha256", "outcomes": "outcome"}
        yield "refused", _columns(batch.refusals, **names)
    awaiting = [deadline for deadline in batch.deadlines if deadline.due is not None]
    if awaiting:
        yield "awaiting", _awaiting(awaiting)
    if len(awaiting) < len(batch.deadlines):
        yield "cleared", {"cleared": [deadline.stream_id for deadline in batch.deadlines if deadline.due is None]}


class _Numbers(dict[str, str]):
    """PostgreSQL's numbers of named values, in the order in which they are first used."""

    def __missing__(self, name: str) -> str:
        self[name] = number = f"${len(self) + 1}"
        return number


@cache
def _statement(*parts: str) -> tuple[str, tuple[str, ...]]:
    stands = "(SELECT count(*) FROM moved) = {moves}::int8"
    if "known" in parts:
        stands += " AND (SELECT count(*) FROM known) = 0"
    named = ",\n".join(f"{part} AS ({_PARTS[part]})" for part in ("moved", *parts))
    numbers = _Numbers()
    return f"WITH {named}\nSELECT ledger.fence({stands})".format_map(numbers), tuple(numbers)


def _awaiting(deadlines: Sequence[Deadline]) -> _Values:
    due = [deadline.due for deadline in deadlines]
    said = {name: name for name in ("at", "tenant", "kind", "about", "count")}
    return {"waiting": [deadline.stream_id for deadline in deadlines], **_columns(due, **said)}


def _columns(rows: Sequence[Any], **names: str) -> _Values:
    return {column: [getattr(row, name) for row in rows] for column, name in names.items()}
