"""Absences over HTTP: who may say them, what they let a substitute do, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from identity.absences.record import Absence
from testkit.runs.people import ADAM, ANN, BO, CY, RITA, RITAS_BOT, principal
from testkit.runs.tasks import task_of, under

from .memory_site import NOW
from .over_http import problem
from .people_site import People

TOMORROW = (NOW + timedelta(days=1)).isoformat()
ELSEWHERE = ADAM.changed({"tenant": "elsewhere", "subject": "eve"})


async def test_a_substitute_decides_where_the_absent_person_is_named(people: People) -> None:
    """The vote says for whom; without the absence it is no candidate. Why a person is absent is not for all."""
    rules = {"candidates": {"users": ["ann"]}, "approvals_required": 1, "four_eyes": True}
    run_id = await people.tell(under(rules))
    problem(await people.ask(CY, "POST", f"/hitl/runs/{run_id}/approve", {}), 403, "not_candidate")
    body = {"person": "ann", "substitute": "di", "from": NOW.isoformat(), "until": TOMORROW, "reason": "skiing"}
    said = await people.ask(ANN, "POST", "/hitl/absences", body)
    assert said.status_code == 201
    told = said.json()
    assert {name: told[name] for name in ("person", "substitute", "reason", "created_by")} == {
        "person": "ann",
        "substitute": "di",
        "reason": "skiing",
        "created_by": "ann",
    }
    di = principal("di", *CY.roles)
    for who in (ANN, di, ADAM):
        assert (await people.ask(who, "GET", "/hitl/absences")).json() == {"items": [told], "next_cursor": None}
    for who in (RITA, CY):
        (seen,) = (await people.ask(who, "GET", "/hitl/absences")).json()["items"]
        assert seen == {**told, "reason": None}
    decided = await people.ask(di, "POST", f"/hitl/runs/{run_id}/approve", {})
    (vote,) = decided.json()["last_approval"]["votes"]
    assert (vote["by"], vote["on_behalf_of"]) == ("di", "ann")
    assert decided.json()["last_approval"]["on_behalf_of"] == "ann"


async def test_a_fresh_read_goes_by_the_absences_of_this_moment(people: People) -> None:
    """Those that another gateway took are known here within two seconds; with `Cache-Control: no-cache` at once."""
    run_id = await people.tell(under({"candidates": {"users": ["ann"]}}))
    path = f"/hitl/runs/{run_id}"
    problem(await people.ask(CY, "GET", path), 403, "forbidden")
    absence = Absence(
        id=uuid4(),
        tenant="default",
        person="ann",
        substitute="cy",
        begins_at=NOW,
        ends_at=NOW + timedelta(days=1),
        reason=None,
        created_at=NOW,
        created_by="ann",
    )
    await people.site.absences.add(absence)
    problem(await people.ask(CY, "GET", path), 403, "forbidden")
    assert (await people.ask(CY, "GET", path, **{"Cache-Control": "no-cache"})).status_code == 200


async def test_one_says_ones_own_and_an_administrator_says_anyones(people: People) -> None:
    """And takes them back; a foreign tenant's are not there."""
    body = {"person": "ann", "substitute": "bo", "until": TOMORROW}
    problem(await people.ask(BO, "POST", "/hitl/absences", body), 403, "forbidden")
    problem(await people.ask(RITAS_BOT, "POST", "/hitl/absences", body), 403, "forbidden")
    said = (await people.ask(ADAM, "POST", "/hitl/absences", body)).json()
    one = f"/hitl/absences/{said['absence_id']}"
    problem(await people.ask(BO, "DELETE", one), 403, "forbidden")
    problem(await people.ask(ELSEWHERE, "DELETE", one), 404, "absence_not_found")
    assert (await people.ask(ELSEWHERE, "GET", "/hitl/absences")).json()["items"] == []
    assert (await people.ask(ANN, "DELETE", one)).status_code == 204
    problem(await people.ask(ANN, "DELETE", one), 404, "absence_not_found")
    problem(await people.ask(ANN, "DELETE", "/hitl/absences/none"), 404, "absence_not_found")


async def test_circles_and_second_substitutes_are_refused(people: People) -> None:
    """Each with its code, and nothing is kept of them."""
    await people.ask(ADAM, "POST", "/hitl/absences", {"person": "ann", "substitute": "bo", "until": TOMORROW})
    circle = {"person": "bo", "substitute": "ann", "until": TOMORROW}
    problem(await people.ask(BO, "POST", "/hitl/absences", circle), 422, "substitution_circle")
    problem(await people.ask(BO, "POST", "/hitl/absences", {**circle, "substitute": "bo"}), 422, "substitution_circle")
    second = {"person": "ann", "substitute": "cy", "until": TOMORROW}
    problem(await people.ask(ANN, "POST", "/hitl/absences", second), 409, "absence_overlaps")
    assert len((await people.ask(ANN, "GET", "/hitl/absences")).json()["items"]) == 1


async def test_an_absence_under_a_key_is_said_once(people: People) -> None:
    """The same request again gets the same answer, also of several at once; another body under the key is refused."""
    key, begin = {"Idempotency-Key": "k1"}, (NOW + timedelta(hours=1)).isoformat()
    body = {"person": "ann", "substitute": "bo", "until": TOMORROW}
    asked = [people.ask(ADAM, "POST", "/hitl/absences", body, **key) for _ in range(3)]
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len((await people.ask(ADAM, "GET", "/hitl/absences")).json()["items"]) == 1
    for change in ({"substitute": "cy"}, {"reason": "away"}, {"from": begin}):
        told = await people.ask(ADAM, "POST", "/hitl/absences", {**body, **change}, **key)
        problem(told, 422, "idempotency_key_reused")
    own = await people.ask(ANN, "POST", "/hitl/absences", body, **key)
    problem(own, 409, "absence_overlaps")


async def test_absences_come_in_pages(people: People) -> None:
    """Those that begin first before others, whatever zone they were said in."""
    for person, begins in (
        ("c", "2026-03-04T00:00:00+02:00"),
        ("b", "2026-03-03T23:00:00Z"),
        ("a", "2026-03-02T20:00:00-05:00"),
    ):
        body = {"person": person, "substitute": "bo", "from": begins, "until": "2026-03-09T00:00:00Z"}
        said = await people.ask(ADAM, "POST", "/hitl/absences", body)
        assert said.status_code == 201
    first = (await people.ask(ANN, "GET", "/hitl/absences?limit=2")).json()
    rest = (await people.ask(ANN, "GET", f"/hitl/absences?limit=2&cursor={first['next_cursor']}")).json()
    assert [one["person"] for one in (*first["items"], *rest["items"])] == ["a", "c", "b"]
    assert rest["next_cursor"] is None
    foreign = await people.ask(ELSEWHERE, "GET", f"/hitl/absences?cursor={first['next_cursor']}")
    problem(foreign, 422, "validation_failed")
    problem(await people.ask(ANN, "GET", "/hitl/absences?limit=0"), 422, "validation_failed")


async def test_a_person_has_at_most_50_absences_to_come(people: People) -> None:
    """The next is refused with a code; another person's is not."""
    for day in range(51):
        begins, ends = (NOW + timedelta(days=day + n) for n in (0, 1))
        body = {"person": "ann", "substitute": "bo", "from": begins.isoformat(), "until": ends.isoformat()}
        said = await people.ask(ANN, "POST", "/hitl/absences", body)
        assert said.status_code == 201 or day == 50
    problem(said, 409, "too_many_absences")
    assert (await people.ask(ADAM, "POST", "/hitl/absences", {**body, "person": "cy"})).status_code == 201


async def test_a_substitute_stands_in_for_at_most_100_persons_at_a_time(people: People) -> None:
    """The next is refused with a code and its own words; another substitute is not."""
    for number in range(101):
        body = {"person": f"p{number}", "substitute": "bo", "until": TOMORROW}
        said = await people.ask(ADAM, "POST", "/hitl/absences", body)
        assert said.status_code == 201 or number == 100
    told = problem(said, 409, "too_many_absences")
    assert told["detail"] == "bo would stand in for more than 100 persons at one time"
    assert (await people.ask(ADAM, "POST", "/hitl/absences", {**body, "substitute": "cy"})).status_code == 201


async def test_who_has_left_is_stood_in_for_no_longer(people: People) -> None:
    """Once the last credential of the absent person that may decide has ended."""
    run_id = await people.tell(under({"candidates": {"users": ["ann"]}}))
    body = {"person": "ann", "substitute": "di", "until": TOMORROW}
    assert (await people.ask(ANN, "POST", "/hitl/absences", body)).status_code == 201
    (key,) = (
        one for one in (await people.ask(ADAM, "GET", "/admin/api-keys")).json()["items"] if one["subject"] == "ann"
    )
    assert (await people.ask(ADAM, "DELETE", f"/admin/api-keys/{key['id']}")).status_code == 204
    # Another absence makes the gateway ask anew, as two seconds do.
    await people.ask(ADAM, "POST", "/hitl/absences", {**body, "person": "eve"})
    stand_in = principal("di", *CY.roles)
    problem(await people.ask(stand_in, "POST", f"/hitl/runs/{run_id}/approve", {}), 403, "not_candidate")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"until": "3026-03-02T00:00:00Z"}, "/until"),
        ({"until": "2020-03-02T00:00:00Z"}, "/until"),
        ({"until": "2026-03-03"}, "/until"),
        ({"until": None}, "/until"),
        ({"from": "2026-03-09T00:00:00Z"}, "/until"),
        ({"from": 1}, "/from"),
        ({"from": "9999-12-01T00:00:00Z", "until": "9999-12-31T23:59:59-10:00"}, "/until"),
        ({"from": "9999-12-01T00:00:00Z", "until": "9999-12-31T23:59:59.999999Z"}, "/from"),
        ({"from": "0001-01-01T00:00:00+10:00"}, "/from"),
        ({"substitute": ""}, "/substitute"),
        ({"substitute": "x" * 201}, "/substitute"),
        ({"substitute": "bo\u202e"}, "/substitute"),
        ({"groups": ["legal"]}, "/groups"),
        ({"reason": "x" * 20_001}, "/reason"),
    ],
)
async def test_a_bad_absence_names_its_member(people: People, change: dict[str, Any], path: str) -> None:
    """A thousand years, a time that has passed, an end of the calendar, no zone, no name."""
    body = {"person": "ann", "substitute": "bo", "until": TOMORROW, **change}
    told = problem(await people.ask(ANN, "POST", "/hitl/absences", body), 422, "validation_failed")
    assert path in [issue["path"] for issue in told["issues"]]


def test_the_story_is_what_it_says() -> None:
    """Its one candidate is ann."""
    assert task_of(under({"candidates": {"users": ["ann"]}})).candidates.users == ("ann",)
