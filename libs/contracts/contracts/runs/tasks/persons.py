"""Who acts at a task: persons, and not their credentials."""

from __future__ import annotations

from contracts.identity import Principal
from contracts.runs.tasks.rules import Candidates


def person_of(principal: Principal | None, actor: str) -> str:
    """Return the person who acts. While authentication is off it is who the actor says that it is."""
    return actor if principal is None else principal.person


def acting_for(principal: Principal | None, candidates: Candidates, assignee: str | None) -> str | None:
    """Return the absent person whom a principal stands in for; None if it is asked itself."""
    if principal is None or not principal.on_behalf_of or is_asked(candidates, principal.person, principal.groups):
        return None
    named = (*candidates.users, assignee)
    return next((absent for absent in principal.on_behalf_of if absent in named), None)


def is_asked(candidates: Candidates, person: str, groups: tuple[str, ...]) -> bool:
    """Return whether a person with these groups is among the candidates."""
    return candidates.is_everyone or person in candidates.users or not set(groups).isdisjoint(candidates.groups)
