"""What a request of a list becomes in SQL: its conditions with their values, and its order. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from contracts.runs.tasks.readers import EVERY_REVIEWER, Reader, group_entry, person_entry
from contracts.runs.views import TERMINAL
from gateway.ports import Place, WaitingPlace
from gateway.projection.waiting_list import NEVER, WaitingFilters, WaitingOrder

FIRST_VALUE = 3
"""The number of the first value of a condition. The tenant and the limit come before."""


class Condition(NamedTuple):
    """A condition, with `{}` in place of each of its values."""

    text: str
    values: tuple[Any, ...] = ()


class Sorting(NamedTuple):
    """The columns of an order, the last of which is the checkpoint's id. Those of the page have the names that it gives them."""

    columns: tuple[str, ...]
    page_columns: tuple[str, ...]
    casts: tuple[str, ...]


_LAST, _LAST_PAGE, _LAST_CASTS = ("p.opened_at", "p.checkpoint_id"), ("at", "id"), ("timestamptz", "uuid")
_SORTINGS = {
    "opened": Sorting(_LAST, _LAST_PAGE, _LAST_CASTS),
    "due": Sorting(("p.due_at", *_LAST), ("rank", *_LAST_PAGE), ("timestamptz", *_LAST_CASTS)),
    "priority": Sorting(("(-p.priority)", *_LAST), ("rank", *_LAST_PAGE), ("integer", *_LAST_CASTS)),
}


def numbered(conditions: list[Condition]) -> tuple[str, list[Any]]:
    """Return the conditions as one text, their values numbered from FIRST_VALUE on, and the values."""
    values = [value for condition in conditions for value in condition.values]
    text = " ".join(f"AND {condition.text}" for condition in conditions)
    return text.format(*(f"${FIRST_VALUE + at}" for at in range(len(values)))), values


def run_conditions(
    equal: Mapping[str, str | None], state: str | None, after: Place | None, reader: Reader | None, *, is_open: bool
) -> list[Condition]:
    """Return the conditions of a list of runs. Those that are over have an index by state; open ones one without."""
    found = [Condition(f"{column} = {{}}", (value,)) for column, value in equal.items() if value is not None]
    if state is not None:
        found.append(Condition("ended = {}" if state in TERMINAL else "ended IS NULL AND state = {}", (state,)))
    if is_open:
        found.append(Condition("ended IS NULL"))
    if after is not None:
        found.append(Condition("(created_at, run_id) < ({}, {})", (after.at, after.id)))
    if reader is not None:
        every = ["for_every_reviewer"] if EVERY_REVIEWER in reader.entries else []
        found.append(_readable(reader, "", every))
    return found


def pending_conditions(filters: WaitingFilters, reader: Reader | None) -> list[Condition]:
    """Return the conditions of the waiting list, but for the place where a page begins."""
    found = [*_filtered(filters)]
    if reader is not None:
        found.append(_readable(reader, "p.", []))
    return found


def _readable(reader: Reader, table: str, ways: list[str]) -> Condition:
    values: list[Any] = []
    if reader.entries:
        ways, values = [*ways, f"{table}readers && {{}}::text[]"], [list(reader.entries)]
    if reader.person is not None:
        ways, values = [*ways, f"{table}requester = {{}}"], [*values, reader.person]
    return Condition(f"({' OR '.join(ways) or 'false'})", tuple(values))


def _filtered(filters: WaitingFilters) -> Iterator[Condition]:
    for column in ("step", "session_id", "assignee", "claimant"):
        if (value := getattr(filters, column)) is not None:
            yield Condition(f"p.{column} = {{}}", (value,))
    if filters.group is not None:
        yield Condition("p.candidates && {}::text[]", ([group_entry(filters.group)],))
    if filters.persons is not None:
        persons = list(filters.persons)
        mine = "(p.claimant = any({}::text[]) OR p.assignee = any({}::text[]) OR p.candidates && {}::text[])"
        yield Condition(mine, (persons, persons, list(map(person_entry, persons))))
    if filters.priority_min is not None:
        yield Condition("(-p.priority) <= {}", (-filters.priority_min,))
    if filters.due_before is not None:
        yield Condition("p.due_at < {}", (min(filters.due_before, NEVER),))
    if filters.words:
        # A word has letters, digits and underscores alone: nothing in it is PostgreSQL's to read.
        yield Condition("p.words @@ {}::text::tsquery", (" & ".join(f"'{word}':*" for word in filters.words),))
    if filters.follow_up_by is not None:
        yield Condition("(p.follow_up_at IS NULL OR p.follow_up_at <= {})", (filters.follow_up_by,))


def behind(place: WaitingPlace, order: WaitingOrder) -> Condition:
    """Return the condition of what comes behind a place."""
    sorting = _SORTINGS[order.sort]
    values: tuple[Any, ...] = (place.at, place.id) if order.sort == "opened" else (place.rank, place.at, place.id)
    marks = ", ".join(f"{{}}::{cast}" for cast in sorting.casts)
    return Condition(f"({', '.join(sorting.columns)}) {'<' if order.is_reversed else '>'} ({marks})", values)


def ordering(order: WaitingOrder) -> dict[str, str]:
    """Return what the query of the waiting list is given by name: the rank and both orders."""
    sorting, direction = _SORTINGS[order.sort], " DESC" if order.is_reversed else ""
    return {
        "rank": "NULL" if order.sort == "opened" else sorting.columns[0],
        "order": ", ".join(f"{column}{direction}" for column in sorting.columns),
        "page_order": ", ".join(f"{column}{direction}" for column in sorting.page_columns),
    }
