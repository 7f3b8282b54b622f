"""The ledger in PostgreSQL as its readers see it: the table `ledger.commits`, which the orchestrator writes. Knows no driver.

A row holds all events of one command, from `version` on, as the bytes that are published. The view `ledger.events` has a row an event.
"""

from collections.abc import Iterable


def commit_of(events: Iterable[bytes]) -> bytes:
    """Return the events of one commit, in order, as the ledger holds them: one a line, for no event's JSON has a line end."""
    return b"\n".join(events)


def events_of(commit: bytes) -> list[bytes]:
    """Return the events of one commit, in order, as the bytes that are published."""
    return commit.split(b"\n")
