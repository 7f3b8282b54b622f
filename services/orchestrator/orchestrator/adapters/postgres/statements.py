"""What the ledger is on PostgreSQL: every statement, through one connection, on the `eventsourcing` library's base classes.

The library's recorder inserts composite arrays one batch at a time; ours inserts plain arrays, together with whatever else
the batch writes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC
from importlib import resources
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import AggregateRecorder, Notification, StoredEvent

from contracts.ledger_schema import record_sql
from contracts.runs.outcomes import Refused
from orchestrator.adapters.postgres.commit_statement import write
from orchestrator.ports import Fenced, LedgerAway, RefusedRequest
from orchestrator.runs.react import Deadline, Due

AGAIN_SECONDS = 30
"""A deadline whose command got lost fires again after this long, until the run's next event moves or clears it."""

# A server that went without a word is noticed: libpq's own defaults wait for hours.
_CONNECTING: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}

# The empty text stands where the library has an event's name; a decision has none.
_SELECT_DECISIONS = (
    "SELECT run_id, version, '', events FROM ledger.decisions WHERE run_id = ANY(%b) ORDER BY run_id, version"
)

# Bounded on both sides: a block-range index finds a range, but not where an order begins.
_SELECT_NOTIFICATIONS = """
SELECT run_id, version, '', events, position FROM ledger.decisions WHERE position BETWEEN %b AND %b ORDER BY position"""

# The sequence knows; max() would read the whole table.
_LAST_POSITION = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('ledger.decisions', 'position')), 0)"

_STAND = """
INSERT INTO ledger.intake (log_id, partition, position) SELECT %b, p, 0 FROM unnest(%b::int4[]) AS p
ON CONFLICT DO NOTHING"""

_POSITIONS = "SELECT partition, position FROM ledger.intake WHERE log_id = %b AND partition = ANY(%b)"

_SELECT_REFUSALS = "SELECT command_id, request_sha256, outcome FROM ledger.refusals WHERE run_id = ANY(%b)"

# Several orchestrators may forget at once: each row is deleted by one of them.
_FORGET_REFUSALS = """
DELETE FROM ledger.refusals WHERE command_id IN (
    SELECT command_id FROM ledger.refusals WHERE at < now() - make_interval(secs => %s) ORDER BY at LIMIT %s
    FOR UPDATE SKIP LOCKED)"""

# Several clocks may look at once: each row is taken by one of them.
_TAKE_DUE = """
UPDATE ledger.deadlines SET due_at = now() + make_interval(secs => %s)
WHERE run_id IN (
    SELECT run_id FROM ledger.deadlines WHERE due_at <= now() ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING run_id, kind, tenant, at, about, count"""

_SELECT_WAITING = "SELECT run_id FROM ledger.deadlines WHERE run_id > %s ORDER BY run_id LIMIT %s"


class Recorder(AggregateRecorder):
    """Decisions in `ledger.decisions`, and what a batch writes beside them, through one connection of its own."""

    def __init__(self, url: str, log_id: str) -> None:
        self._url = url
        self._log_id = log_id
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield the connection, made when there is none. Raises LedgerAway or Fenced for what the library says."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, autocommit=True, **_CONNECTING)
            yield self._connection
        except psycopg.errors.DivisionByZero as error:
            raise Fenced("a partition's position has moved on, or a run had begun before") from error
        except psycopg.errors.UniqueViolation as error:
            raise Fenced(str(error)) from error
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
            self.close()
            raise LedgerAway(str(error).strip() or type(error).__name__) from error

    def close(self) -> None:
        """Let the connection go; the next use makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def hang_up(self) -> None:
        """End the connection under a statement that does not come back; it raises LedgerAway. Any thread may call this."""
        connection = self._connection
        with suppress(OSError, psycopg.Error):
            if connection is not None:
                with socket.socket(fileno=os.dup(connection.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)

    def create_tables(self) -> None:
        """Create what is missing."""
        with self.connection() as connection, connection.transaction():
            connection.execute(record_sql().encode())
            connection.execute(resources.files(__package__).joinpath("ledger.sql").read_bytes())

    def insert_events(self, stored_events: Sequence[StoredEvent], **beside: Any) -> Sequence[int] | None:
        """Insert decisions, with the rest of a `Batch` as `beside`, in one statement, which is one transaction."""
        statement, values = write(self._log_id, beside["batch"], stored_events)
        with self.connection() as connection:
            connection.execute(statement, values)
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
        """Return one run's decisions in order, of those that begin after version `gt` and up to version `lte`."""
        assert isinstance(originator_id, UUID)
        found = [
            stored
            for stored in self.select_known([originator_id])[0]
            if (gt is None or stored.originator_version > gt) and (lte is None or stored.originator_version <= lte)
        ]
        ordered = found[::-1] if desc else found
        return ordered[:limit]

    def select_known(self, run_ids: Sequence[UUID]) -> tuple[list[StoredEvent], dict[UUID, RefusedRequest]]:
        """Return the decisions on several runs, each run's in order, and what they refused, by command; in one round trip."""
        with self.connection() as connection, connection.pipeline():
            decided = connection.execute(_SELECT_DECISIONS, [run_ids], binary=True)
            refusals = connection.execute(_SELECT_REFUSALS, [run_ids], binary=True)
            return (
                [StoredEvent(*row) for row in decided],
                {row[0]: RefusedRequest(Refused.model_validate_json(row[2]), row[1]) for row in refusals},
            )

    def forget_refusals(self, older_than: float, limit: int) -> int:
        """Delete the oldest refusals among those older than so many seconds; return how many that were."""
        with self.connection() as connection:
            return connection.execute(_FORGET_REFUSALS, [older_than, limit]).rowcount

    def select_notifications(self, start: int, limit: int) -> list[Notification]:
        """Return the decisions on all runs in the order of their positions, from `start` on."""
        last = self.max_notification_id()
        with self.connection() as connection:
            for first in range(start, last + 1, limit):
                rows = connection.execute(_SELECT_NOTIFICATIONS, [first, first + limit - 1], binary=True).fetchall()
                if rows:  # positions have gaps, even ones of a page's length
                    return [Notification(*row) for row in rows]
        return []

    def max_notification_id(self) -> int:
        """Return a position that no decision is beyond, 0 when there is none."""
        with self.connection() as connection:
            row = connection.execute(_LAST_POSITION).fetchone()
            assert row is not None
            return int(row[0])

    def select_positions(self, partitions: Sequence[int]) -> dict[int, int]:
        """Return where partitions of this log stand; those never seen begin at 0."""
        with self.connection() as connection, connection.transaction():
            connection.execute(_STAND, [self._log_id, partitions])
            return dict(connection.execute(_POSITIONS, [self._log_id, partitions]).fetchall())

    def is_new_log(self) -> bool:
        """Say whether nothing of this log was ever decided."""
        with self.connection() as connection:
            return (
                connection.execute("SELECT 1 FROM ledger.intake WHERE log_id = %s", [self._log_id]).fetchone() is None
            )

    def check(self) -> None:
        """Ask for nothing but an answer."""
        with self.connection() as connection:
            connection.execute("SELECT 1")

    def take_due(self, limit: int) -> list[Deadline]:
        """Return the deadlines that are due, each to one caller; they fire again unless their run moves on."""
        with self.connection() as connection:
            rows = connection.execute(_TAKE_DUE, [AGAIN_SECONDS, limit], binary=True)
            return [
                Deadline(run_id, Due(kind, tenant, at.astimezone(UTC), about, count))
                for run_id, kind, tenant, at, about, count in rows
            ]

    def select_waiting(self, after: UUID, limit: int) -> list[UUID]:
        """Return the runs that wait for a time, in pages by id."""
        with self.connection() as connection:
            return [row[0] for row in connection.execute(_SELECT_WAITING, [after, limit], binary=True)]
