"""What is asked of the waiting list: which checkpoints, in which order. Pure: every store answers it in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

Sort = Literal["opened", "due", "priority"]

MOST_COUNTED = 10_000
"""Up to here a list's items are counted. A total of this many says that there are so many or more."""


NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""When a checkpoint is due that has no such date: a time, so that it has its place in the order. The driver reads the very last time
as infinity, without a zone."""


class WaitingOrder(NamedTuple):
    """By when a checkpoint opened, when it is due, or its priority: the oldest, the earliest and the highest first, unless reversed.

    What is due at no time comes after all that is. Of equals the one that has waited longest comes first.
    """

    sort: Sort = "opened"
    is_reversed: bool = False


@dataclass(frozen=True, slots=True)
class WaitingFilters:
    """Which checkpoints: those that meet every filter that is given."""

    step: str | None = None
    session_id: str | None = None
    assignee: str | None = None
    claimant: str | None = None
    group: str | None = None
    """Named among the candidates."""

    persons: tuple[str, ...] | None = None
    """One of them is the claimant, the assignee, or named among the candidates."""

    priority_min: int | None = None
    due_before: datetime | None = None
    words: tuple[str, ...] = ()
    """Each begins a word of the subject."""

    follow_up_by: datetime | None = None
    """Leave out what is to be followed up after this time."""


EVERYTHING = WaitingFilters()
OLDEST_FIRST = WaitingOrder()
