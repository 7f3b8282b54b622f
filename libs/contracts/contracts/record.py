"""The record in PostgreSQL: the table `ledger.events`, which one service writes and others read. Knows no driver."""

from importlib import resources


def record_sql() -> str:
    """Return the statements that make the record where it is missing, for one transaction."""
    return resources.files(__package__).joinpath("record.sql").read_text()
