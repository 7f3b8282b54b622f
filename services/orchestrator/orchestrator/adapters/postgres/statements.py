"""Every statement of the ledger, through one connection, on the `eventsourcing` library's base class for recorders.

The library's recorder inserts composite arrays one batch at a time; ours inserts plain arrays, together with all else that
the batch writes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import AggregateRecorder, Notification, StoredEvent

from contracts.slots import SlotMap
from orchestrator.adapters.postgres.commit_statement import batch_statement
from orchestrator.adapters.postgres.connection import Connection
from orchestrator.adapters.postgres.queries import QUERIES
from orchestrator.aggregate import Aggregate, Due
from orchestrator.ports import PAGE_BYTES, DueRow, LedgerUnavailable, StoredRefusal

FIRE_AGAIN_SECONDS = 30.0
"""A deadline whose command got lost fires again after this long, until the stream's next event moves or clears it."""


class PostgresStatements(AggregateRecorder):
    """The statements of one aggregate's ledger for one log."""

    def __init__(self, connection: Connection, log_id: str, aggregate: Aggregate[Any, Any]) -> None:
        self._connection = connection
        self._log_id = log_id
        self._topic = aggregate.commands.name
        self._events = aggregate.events.name
        self._aggregate = aggregate.name

    def insert_events(self, stored_events: Sequence[StoredEvent], **beside: Any) -> Sequence[int] | None:
        """Insert commits, with the rest of a `Batch` as `beside`, in one statement, which is one transaction."""
        statement, values = batch_statement(self._log_id, self._topic, self._aggregate, beside["batch"], stored_events)
        with self._connection.open() as connection:
            connection.execute(statement.encode(), values)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return one stream's commits in order, of those that begin after version `gt` and up to version `lte`."""
        assert isinstance(originator_id, UUID)
        found = [
            stored
            for stored in self.select_streams([originator_id])[0]
            if (gt is None or stored.originator_version > gt) and (lte is None or stored.originator_version <= lte)
        ]
        ordered = found[::-1] if desc else found
        return ordered[:limit]

    def select_streams(self, stream_ids: Sequence[UUID]) -> tuple[list[StoredEvent], dict[UUID, StoredRefusal]]:
        """Return the commits of several streams, each stream's in order, and their refusals by command, in one round trip."""
        values = {"streams": stream_ids, "aggregate": self._aggregate}
        with self._connection.open() as connection, connection.pipeline():
            commits = connection.execute(_query("select-commits"), values, binary=True)
            refusals = connection.execute(_query("select-refusals"), values, binary=True)
            return [StoredEvent(*row) for row in commits], {row[0]: StoredRefusal(*row) for row in refusals}

    def delete_refusals(self, older_than: float, limit: int) -> int:
        """Delete the oldest refusals among those older than so many seconds; return how many that were."""
        with self._connection.open() as connection:
            return connection.execute(_query("delete-refusals"), {"older_than": older_than, "most": limit}).rowcount

    def select_notifications(self, start: int, limit: int) -> list[Notification]:
        """Return the commits of all streams in the order of their positions, from `start` on."""
        last = self.max_notification_id()
        with self._connection.open() as connection:
            for first in range(start, last + 1, limit):
                bounds = {"first": first, "last": first + limit - 1, "bytes": PAGE_BYTES}
                page = {**bounds, "aggregate": self._aggregate}
                rows = connection.execute(_query("select-notifications"), page, binary=True).fetchall()
                if rows:  # positions have gaps, even ones of a page's length
                    return [Notification(*row) for row in rows]
        return []

    def max_notification_id(self) -> int:
        """Return a position that no commit is beyond, 0 when there is none."""
        with self._connection.open() as connection:
            row = connection.execute(_query("last-position")).fetchone()
            assert row is not None
            return int(row[0])

    def select_positions(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return the position of each partition of this log; one that was never decided stands at 0."""
        values = {"log_id": self._log_id, "topic": self._topic, "partitions": partitions}
        with self._connection.open() as connection, connection.transaction():
            connection.execute(_query("begin-partitions"), values)
            return dict(connection.execute(_query("select-positions"), values).fetchall())

    def is_known_log(self) -> bool:
        """Say whether anything of this log was ever decided."""
        with self._connection.open() as connection:
            row = connection.execute(_query("is-known-log"), {"log_id": self._log_id, "topic": self._topic}).fetchone()
            return row is not None and bool(row[0])

    def select_slot_maps(self) -> dict[str, SlotMap]:
        """Return the maps from slots to partitions that are known of this log, by topic."""
        with self._connection.open() as connection:
            rows = connection.execute(_query("select-slot-maps"), {"log_id": self._log_id})
            return {topic: SlotMap(topic=topic, slots=tuple(slots)) for topic, slots in rows}

    def insert_slot_maps(self, maps: Sequence[SlotMap]) -> None:
        """Keep maps that are not known yet."""
        with self._connection.open() as connection, connection.transaction():
            for of in maps:
                values = {"log_id": self._log_id, "topic": of.topic, "slots": list(of.slots)}
                connection.execute(_query("insert-slot-map"), values)

    def check(self) -> None:
        """Return when the database takes writes and has the ledger. Raises LedgerUnavailable."""
        with self._connection.open() as connection:
            row = connection.execute(_query("check")).fetchone()
            assert row is not None
            is_read_only, is_missing = row
            if is_read_only:
                raise psycopg.errors.ReadOnlySqlTransaction("the server takes no writes")
            if is_missing:
                raise LedgerUnavailable("the database has no table ledger.commits")

    def take_due(self, aggregates: Sequence[str], limit: int) -> list[DueRow]:
        """Return deadlines of these aggregates that have passed, each to one caller; they fire again unless their stream moves on."""
        values = {"again": FIRE_AGAIN_SECONDS, "most": limit, "aggregates": list(aggregates)}
        with self._connection.open() as connection:
            rows = connection.execute(_query("take-due"), values, binary=True)
            return [
                DueRow(aggregate, stream_id, Due(kind, tenant, at.astimezone(UTC), about, count))
                for aggregate, stream_id, kind, tenant, at, about, count in rows
            ]

    def select_waiting(self, after: UUID, limit: int, kinds: Collection[str]) -> list[UUID]:
        """Return the streams that wait for a time, or for one of these kinds, in pages by id."""
        bounds = {"after": after, "most": limit, "bytes": PAGE_BYTES}
        page = {**bounds, "aggregate": self._aggregate, "kinds": sorted(kinds)}
        with self._connection.open() as connection:
            return [row[0] for row in connection.execute(_query("select-waiting"), page, binary=True)]

    def select_republish_from(self) -> int | None:
        """Return the position from which on this log lacks earlier commits, or None."""
        with self._connection.open() as connection:
            row = connection.execute(_query("select-republish-from"), self._of_events()).fetchone()
            return None if row is None else int(row[0])

    def keep_republish_from(self, position: int | None) -> None:
        """Keep it."""
        name = "end-republishing" if position is None else "keep-republish-from"
        values = self._of_events() if position is None else {**self._of_events(), "position": position}
        with self._connection.open() as connection:
            connection.execute(_query(name), values)

    def _of_events(self) -> dict[str, Any]:
        return {"log_id": self._log_id, "topic": self._events}


def _query(name: str) -> bytes:
    return QUERIES[name].encode()
