"""The record in PostgreSQL: the table `ledger.decisions`, which one service writes and others read. Knows no driver."""

from collections.abc import Iterable
from importlib import resources


def record_sql() -> str:
    """Return the statements that make the record where it is missing, for one transaction."""
    return resources.files(__package__).joinpath("ledger_schema.sql").read_text()


def decision_of(events: Iterable[bytes]) -> bytes:
    """Return the events of one decision, in order, as the record holds them: one a line, for no event's JSON has a line end."""
    return b"\n".join(events)


def events_of(decision: bytes) -> list[bytes]:
    """Return the events of one decision, in order, as the bytes that are published."""
    return decision.split(b"\n")
