"""Who acted, over a run's history and the clients' own books: no credential says more than its key was made with. Pure; each yields breaches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from chaos.clients.people import GUEST, PEOPLE
from chaos.clients.plans.identities import IN_FORCE_SECONDS
from chaos.clients.requests import Request
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent

_Rights = tuple[frozenset[str], frozenset[str]]
"""Roles and groups."""


def identified(history: Sequence[RunEvent], requests: Sequence[Request]) -> Iterator[str]:
    """Check that each principal has the roles and groups of its key, or of a token that it brought, and that guests alone have left."""
    brought = defaultdict[str, list[_Rights]](list)
    for subject, rights in PEOPLE.items():
        brought[subject].append(_rights(rights))
    for request in requests:
        if request.groups is not None:
            brought[request.actor].append(_rights({**GUEST, "groups": request.groups}))
    for record in history:
        who = record.principal
        if who is not None:
            said = _rights({"roles": who.roles, "groups": who.groups})
            if record.actor != who.subject or said not in brought[who.subject]:
                yield f"version {record.version}: {record.actor} acts as {who.subject} with {said}"
        if isinstance(record.data, e.VoteCast) and (left := PEOPLE.keys() & set(record.data.left)):
            yield f"version {record.version}: the votes of {sorted(left)}, who never left, count no more"


def _rights(said: Mapping[str, Sequence[str]]) -> _Rights:
    return frozenset(said["roles"]), frozenset(said.get("groups", ()))


def stood_in(history: Sequence[RunEvent], absences: Sequence[Request]) -> Iterator[str]:
    """Check that a person acted in the place of an absent one within an absence alone, which a client asked for."""
    of_run = {absence.body["person"] for absence in absences}
    for record in history:
        who = record.principal
        absent = of_run.intersection(who.on_behalf_of) if who is not None else set()
        if isinstance(record.data, e.VoteCast) and record.data.on_behalf_of is not None:
            absent = absent | {record.data.on_behalf_of}
        for person in sorted(absent):
            if who is None or not any(_covers(one, person, who.person, record.at) for one in absences):
                yield f"version {record.version}: {record.actor} acts for {person}, who is not absent"


def _covers(absence: Request, person: str, substitute: str, at: datetime) -> bool:
    """Return whether an absence holds, or ended so short a time ago that it may still be believed."""
    body, answer = absence.body, absence.answer
    if (body["person"], body["substitute"]) != (person, substitute):
        return False
    told = answer.body.get("from") if answer is not None and answer.accepted else None
    begun = told is None or datetime.fromisoformat(told) <= at
    return begun and at < datetime.fromisoformat(body["until"]) + timedelta(seconds=IN_FORCE_SECONDS)
