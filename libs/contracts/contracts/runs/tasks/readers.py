"""Who may read a run: one rule for single reads, lists and streams. Pure.

A run keeps *entries*: `*` is every reviewer of the tenant, `u:ann` a person, `g:legal` the members of a group. They are added to and
never taken away: who was asked once, or took part, may read what became of it.
"""

from __future__ import annotations

from typing import NamedTuple

from contracts.identity import Principal, Role
from contracts.runs.event_header import Effect
from contracts.runs.tasks.rules import Candidates
from contracts.runs.tasks.task import Task

EVERY_REVIEWER = "*"
ALL = (EVERY_REVIEWER,)
"""The entries of a run that every reviewer may read. No other entry adds to it."""


class Reader(NamedTuple):
    """What a caller may read who may not read everything of its tenant: runs with one of its entries, and runs that it started."""

    entries: tuple[str, ...] = ()
    person: str | None = None
    """The person whose own runs it reads; None for a caller that starts none."""

    def may_read(self, entries: tuple[str, ...], requester: str | None) -> bool:
        """Return whether it may read a run with these entries, started by `requester`."""
        return not set(self.entries).isdisjoint(entries) or (self.person is not None and self.person == requester)


def reader_of(principal: Principal | None) -> Reader | None:
    """Return what a principal may read; None where that is everything of its tenant, as for each caller without authentication."""
    if principal is None or principal.has(Role.ADMIN, Role.AUDITOR):
        return None
    entries: tuple[str, ...] = ()
    if principal.has(Role.REVIEWER):
        persons = (principal.person, *principal.on_behalf_of)
        entries = (EVERY_REVIEWER, *map(person_entry, persons), *map(group_entry, principal.groups))
    return Reader(entries, principal.person if principal.has(Role.REQUESTER) else None)


def person_entry(person: str) -> str:
    """Return the entry of a person."""
    return f"u:{person}"


def group_entry(group: str) -> str:
    """Return the entry of a group."""
    return f"g:{group}"


def entries_of(candidates: Candidates) -> tuple[str, ...]:
    """Return the entries of those who may decide."""
    if candidates.is_everyone:
        return ALL
    return (*map(person_entry, candidates.users), *map(group_entry, candidates.groups))


def entries_after(
    before: tuple[str, ...], task: Task | None, effect: Effect, principal: Principal | None
) -> tuple[str, ...]:
    """Return a run's entries after an event of this effect that `principal` caused, and that leaves `task` open.

    Who votes, decides or comments is added, and a candidate who claims: it can give its claim up though it is asked no longer. Drafts, dates
    and the claim of a substitute add no one: what is seen by an absence alone ends with it.
    """
    if before is ALL or not (effect.opens or effect.on_task or effect.action):
        return before
    found = [] if task is None else [*entries_of(task.candidates), *_persons(task.assignee, task.owner)]
    if EVERY_REVIEWER in found or EVERY_REVIEWER in before:
        return ALL
    if principal is not None and (effect.takes_part or effect.action or _holds_as_candidate(task, principal)):
        found.append(person_entry(principal.person))
    new = [entry for entry in dict.fromkeys(found) if entry not in before]
    return (*before, *new) if new else before


def _holds_as_candidate(task: Task | None, principal: Principal) -> bool:
    if task is None or task.claimant != principal.person:
        return False
    own = {person_entry(principal.person), *map(group_entry, principal.groups)}
    return not own.isdisjoint(entries_of(task.candidates))


def _persons(*named: str | None) -> list[str]:
    return [person_entry(person) for person in named if person is not None]
