"""Who acted is held against the clients' own books: their keys, and the absences that they asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from chaos.clients.people import GUEST, PEOPLE, SUBSTITUTE
from chaos.clients.requests import Answer, Request
from chaos.verdict.identities import identified, stood_in
from contracts.identity import Principal
from contracts.runs import events as e
from testkit.runs import commands
from testkit.runs.specification import MORNING
from testkit.runs.tasks import by, under

from .breaches import History

ABSENT = "absent-1"
MEMBERS = {"tenant": "default", "subject": "guest-1", "credential": "jwt:guest-1", "groups": ("leads",)}


def person(subject: str, *absent: str) -> Principal:
    """Return who acts, as its key says."""
    rights = {"groups": (), **PEOPLE[subject]}
    members = {"tenant": "default", "subject": subject, "credential": f"key:{subject}", "on_behalf_of": absent}
    return Principal.model_validate(members | rights)


def absence(until: float = 60, since: float = 0) -> Request:
    """Return an absence that its client asked for; its times are seconds after the begin of all stories."""
    begin, end = ((MORNING + timedelta(seconds=seconds)).isoformat() for seconds in (since, until))
    body = {"person": ABSENT, "substitute": SUBSTITUTE, "until": end}
    answer = Answer(201, {**body, "from": begin})
    return Request("key", "absence", "http", "lea", body, answer=answer)


def history(*who: Principal, later: float = 0) -> History:
    """Return a history in which each of these voted."""
    rules = {"candidates": {"users": [ABSENT, "ann"], "groups": ["leads"]}, "approvals_required": 2}
    story = under(rules, by=person("client")).later(later)
    return story.given(*(by(one, commands.approve()) for one in who)).history


def test_who_acts_as_its_key_says_breaks_none() -> None:
    """Only a principal that says more or less is a breach."""
    assert list(identified(history(person("ann"), person("cleo")), [])) == []
    token = Request("key", "approve", "http", "guest-1", {}, groups=("leads",))
    voted = history(Principal.model_validate(GUEST | MEMBERS))
    assert list(identified(voted, [token])) == []
    assert list(identified(voted, [replace(token, groups=())]))


@pytest.mark.parametrize("members", [{"groups": ("leads",)}, {"groups": ()}, {"roles": ("admin",)}, {"subject": "eve"}])
def test_a_principal_that_its_key_does_not_name_is_noticed(members: dict[str, tuple[str, ...]]) -> None:
    """A right that no key gave is a breach, whatever the rules of the run say."""
    voted = list(history(person("ann"), person("cleo")))
    voted[-1] = voted[-1].changed({"principal": person("ann").changed(members)})
    assert list(identified(voted, []))


def test_a_vote_that_is_lost_to_a_person_who_never_left_is_noticed() -> None:
    """Keys stay as they were made, so that their votes stand."""
    voted = list(history(person("ann"), person("cleo")))
    cast = [record for record in voted if isinstance(record.data, e.VoteCast)][-1]
    voted[voted.index(cast)] = cast.changed({"data": cast.data.changed({"left": ("ann",)})})
    assert list(identified(voted, []))


def test_a_substitute_acts_within_an_absence() -> None:
    """Also for the seconds after it in which its end need not be known."""
    voted = history(person(SUBSTITUTE, ABSENT), later=61)
    assert list(stood_in(voted, [absence()])) == []
    assert list(stood_in(voted, [absence(30)]))


def test_no_one_acts_for_a_person_that_is_not_absent() -> None:
    """No absence, one of another substitute, and one that begins later allow nothing."""
    voted = history(person(SUBSTITUTE, ABSENT))
    other = absence()
    other.body["substitute"] = "bob"
    for absences in ([], [other], [absence(since=30)]):
        assert list(stood_in(voted, absences))
