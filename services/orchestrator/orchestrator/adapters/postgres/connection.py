"""The ledger's one connection: made when needed, and the one place where the driver's errors become the ledger's own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from chassis.postgres.database_url import parse_database_url
from chassis.postgres.sqlstates import hint_for
from orchestrator.ports import Fenced, LedgerUnavailable

FENCED = "SY001"
"""The error code with which `ledger.fence` refuses a batch."""

# A server that went without a word is noticed: libpq's own defaults wait for hours.
_CONNECTING: dict[str, Any] = {
    "connect_timeout": 3,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
    "application_name": "sayso-orchestrator",
}


PREPARE_AFTER = 5
"""Uses of a statement before it is prepared: the driver's own choice."""


class Connection:
    """One connection to PostgreSQL, for one thread. Any thread may call `hang_up`."""

    def __init__(self, url: str) -> None:
        read = parse_database_url(url)
        self._arguments = read.for_libpq(**_CONNECTING)
        # Behind a pooler, a statement that one session prepared is unknown to the next.
        self._prepare_after = None if read.is_pooled else PREPARE_AFTER
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def open(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield the connection, made when there is none. Raises LedgerUnavailable or Fenced for what the driver says."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(
                    autocommit=True, prepare_threshold=self._prepare_after, **self._arguments
                )
            yield self._connection
        except psycopg.errors.UniqueViolation as error:
            raise Fenced(str(error)) from error
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
            self.close()
            raise LedgerUnavailable(hint_for(error.sqlstate) or str(error).strip() or type(error).__name__) from error
        except psycopg.Error as error:
            if hint := hint_for(error.sqlstate):
                self.close()
                raise LedgerUnavailable(hint) from error
            if error.sqlstate != FENCED:
                raise
            raise Fenced(error.diag.message_primary or FENCED) from error

    def close(self) -> None:
        """Let the connection go; the next use makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def hang_up(self) -> None:
        """End the connection under a statement that does not come back; it raises LedgerUnavailable."""
        connection = self._connection
        with suppress(OSError, psycopg.Error):
            if connection is not None:
                with socket.socket(fileno=os.dup(connection.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)
