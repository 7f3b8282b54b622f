"""The ledger's one connection: made when needed, and the one place where the driver's errors become the ledger's own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

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
}


class Connection:
    """One connection to PostgreSQL, for one thread. Any thread may call `hang_up`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def open(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield the connection, made when there is none. Raises LedgerUnavailable or Fenced for what the driver says."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._url, autocommit=True, **_CONNECTING)
            yield self._connection
        except psycopg.errors.UniqueViolation as error:
            raise Fenced(str(error)) from error
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
            self.close()
            raise LedgerUnavailable(str(error).strip() or type(error).__name__) from error
        except psycopg.Error as error:
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
