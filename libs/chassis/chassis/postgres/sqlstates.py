"""What PostgreSQL's error codes say of the connection that they came on. Pure; names no driver."""

from __future__ import annotations

from typing import Final

_SESSION: Final = frozenset(
    (
        "25006",  # read-only: the server was demoted, and this session stays so although new ones may write
        "25P02",  # a transaction that failed was left open
        "26000",  # a prepared statement is gone: a pooler gave the transaction to another session
        "42P05",  # and one that is there already
        "57P01",  # the server shuts down, or a person ended the session
        "57P02",  # a crash of another session ends all
        "57P03",  # the server starts up, shuts down, or recovers
        "57P04",  # the database was dropped
        "57P05",  # the session was idle for too long
        "58P01",  # a file of the server is gone
        "XX000",  # an internal error of the server, or of a pooler before it
    )
)

_CONNECTION_CLASS: Final = "08"

POOLER_HINT: Final = (
    "a pooler in transaction mode seems to stand before PostgreSQL and to keep no prepared statements: "
    "add pgbouncer=true to DATABASE_URL, or name the server itself"
)

_POOLER: Final = frozenset(("26000", "42P05"))


def retires_connection(sqlstate: str | None) -> bool:
    """Return whether no later statement on the same connection can be expected to do better."""
    return sqlstate is not None and (sqlstate in _SESSION or sqlstate.startswith(_CONNECTION_CLASS))


def hint_for(sqlstate: str | None) -> str | None:
    """Return what an operator can do about an error, where its own message does not say it."""
    return POOLER_HINT if sqlstate in _POOLER else None
