"""Who acts at a task: persons, and not their credentials."""

from __future__ import annotations

from collections.abc import Collection

from contracts.identity import Principal
from contracts.runs.tasks.rules import Candidates


def person_of(principal: Principal | None, actor: str) -> str:
    """Return the person who acts. While authentication is off it is who the actor says that it is."""
    return actor if principal is None else principal.person


def acting_for(principal: Principal | None, candidates: Candidates, heard: Collection[str] = ()) -> str | None:
    """Return the absent candidate whom a principal stands in for, of those not `heard` yet; None if it is asked itself.

    An absent member of a group has no substitute: the group's other members are asked.
    """
    if principal is None or not principal.on_behalf_of or is_asked(candidates, principal.person, principal.groups):
        return None
    named = set(candidates.users).difference(heard)
    return next((absent for absent in principal.on_behalf_of if absent in named), None)


def acting_persons(principal: Principal | None, actor: str) -> frozenset[str]:
    """Return the person who acts and those whom it stands in for."""
    return frozenset((actor,) if principal is None else (principal.person, *principal.on_behalf_of))


def is_asked(candidates: Candidates, person: str, groups: tuple[str, ...]) -> bool:
    """Return whether a person with these groups is among the candidates."""
    return candidates.is_everyone or person in candidates.users or not set(groups).isdisjoint(candidates.groups)
