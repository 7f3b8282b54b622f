"""The waiting list in memory: which checkpoint meets the filters, and where it stands."""

from __future__ import annotations

from typing import Any

from gateway.ports import WaitingPlace
from gateway.projection.pending import PendingCheckpoint
from gateway.projection.rows import RunRow
from gateway.projection.search_words import is_found
from gateway.projection.waiting_list import NEVER, WaitingFilters, WaitingOrder


def meets(filters: WaitingFilters, row: RunRow, pending: PendingCheckpoint, words: tuple[str, ...]) -> bool:
    """Return whether a checkpoint meets every filter that is given."""
    task = pending.task
    return (
        filters.step in (None, pending.step)
        and filters.session_id in (None, row.session_id)
        and filters.assignee in (None, task.assignee)
        and filters.claimant in (None, task.claimant)
        and (filters.group is None or filters.group in task.candidates.groups)
        and (filters.persons is None or _concerns(pending, filters.persons))
        and (filters.priority_min is None or task.priority >= filters.priority_min)
        and (filters.due_before is None or (task.due_at is not None and task.due_at < filters.due_before))
        and is_found(words, filters.words)
        and not (filters.follow_up_by and task.follow_up_at and task.follow_up_at > filters.follow_up_by)
    )


def place_of(pending: PendingCheckpoint, order: WaitingOrder) -> WaitingPlace:
    """Return where a checkpoint stands in the list."""
    task = pending.task
    ranks = {"opened": None, "due": task.due_at or NEVER, "priority": -task.priority}
    return WaitingPlace(pending.opened_at, pending.checkpoint_id, ranks[order.sort])


def sort_key(place: WaitingPlace) -> tuple[Any, ...]:
    """Return what places of one list are sorted by."""
    return (place.at, place.id) if place.rank is None else (place.rank, place.at, place.id)


def _concerns(pending: PendingCheckpoint, persons: tuple[str, ...]) -> bool:
    task = pending.task
    return not {task.claimant, task.assignee, *task.candidates.users}.isdisjoint(persons)
