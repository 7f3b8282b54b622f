"""Drafts over HTTP: one a person, which survives a lost race."""

from __future__ import annotations

from datetime import timedelta

from testkit.runs.people import ADAM, ANN, BO, CY, principal
from testkit.runs.tasks import under

from .memory_site import NOW
from .over_http import problem
from .people_site import People


async def test_a_draft_is_kept_and_survives_the_decision_of_another(people: People) -> None:
    """Whoever lost the race finds the text again."""
    run = f"/hitl/runs/{await people.tell(under({}))}"
    problem(await people.ask(ANN, "GET", f"{run}/draft"), 404, "draft_not_found")
    draft = {"action": "edit", "edits": {"temperature": 0.1, "note": "a\u0000b🙂"}, "comment": "cooler"}
    kept = await people.ask(ANN, "PUT", f"{run}/draft", draft)
    assert kept.status_code == 200
    assert {name: kept.json()[name] for name in draft} == draft
    assert (await people.ask(ADAM, "GET", run)).json()["checkpoint"]["task"]["drafts"] == 1
    await people.ask(BO, "POST", f"{run}/approve", {})
    lost = await people.ask(
        ANN, "POST", f"{run}/edit", {"edits": draft["edits"], "checkpoint_id": kept.json()["checkpoint_id"]}
    )
    problem(lost, 409, "checkpoint_already_decided")
    assert (await people.ask(ANN, "GET", f"{run}/draft")).json() == kept.json()
    assert (await people.ask(ANN, "DELETE", f"{run}/draft")).status_code == 204
    problem(await people.ask(ANN, "GET", f"{run}/draft"), 404, "draft_not_found")
    problem(await people.ask(ANN, "DELETE", f"{run}/draft"), 404, "draft_not_found")


async def test_each_person_has_one_and_sees_no_other(people: People) -> None:
    """The second takes the place of the first."""
    run = f"/hitl/runs/{await people.tell(under({}))}"
    for comment in ("first", "second"):
        await people.ask(ANN, "PUT", f"{run}/draft", {"comment": comment})
    await people.ask(BO, "PUT", f"{run}/draft", {"comment": "another"})
    assert (await people.ask(ADAM, "GET", run)).json()["checkpoint"]["task"]["drafts"] == 2
    assert (await people.ask(ANN, "GET", f"{run}/draft")).json()["comment"] == "second"
    problem(await people.ask(CY, "GET", f"{run}/draft"), 404, "draft_not_found")


async def test_a_draft_keeps_no_sight_of_the_run(people: People) -> None:
    """A substitute reads it while the absence lasts, and no longer."""
    run = f"/hitl/runs/{await people.tell(under({'candidates': {'users': ['ann']}}))}"
    until = (NOW + timedelta(days=30)).isoformat()
    said = await people.ask(ANN, "POST", "/hitl/absences", {"person": "ann", "substitute": "di", "until": until})
    stand_in = principal("di", *CY.roles)
    assert (await people.ask(stand_in, "PUT", f"{run}/draft", {"action": "approve"})).status_code == 200
    assert (await people.ask(stand_in, "GET", run)).status_code == 200
    assert (await people.ask(ANN, "DELETE", f"/hitl/absences/{said.json()['absence_id']}")).status_code == 204
    problem(await people.ask(stand_in, "GET", run), 403, "forbidden")


async def test_a_draft_on_nothing_is_refused(people: People) -> None:
    """Nothing waits, another waits, or the body is none."""
    run = f"/hitl/runs/{await people.tell(under({}))}"
    problem(await people.ask(ANN, "PUT", f"{run}/draft", {"edits": []}), 422, "validation_failed")
    problem(await people.ask(ANN, "PUT", f"{run}/draft", {"action": "cancel"}), 422, "validation_failed")
    elsewhere = {"checkpoint_id": "00000000-0000-4000-8000-000000000001"}
    problem(await people.ask(ANN, "PUT", f"{run}/draft", elsewhere), 409, "checkpoint_mismatch")
    await people.ask(BO, "POST", f"{run}/approve", {})
    problem(await people.ask(ANN, "PUT", f"{run}/draft", {"comment": "late"}), 409, "not_allowed")
