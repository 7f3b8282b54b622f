"""Tasks over HTTP: each action answers with the view, and each refusal with its code and what helps to go on."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.runs.tasks.bodies import TASK_BODIES
from testkit.runs.people import ADAM, ANN, AUDREY, BO, CY, RITA
from testkit.runs.tasks import under

from .over_http import problem
from .people_site import People


async def test_a_claim_is_shown_and_keeps_others_away(people: People) -> None:
    """The holder and the end of the lease are told to whom it refuses."""
    run_id = await people.tell(under({}))
    answer = await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/claim", {})
    task = answer.json()["checkpoint"]["task"]
    assert (answer.status_code, task["state"], task["claimant"]) == (200, "claimed", "ann")
    assert answer.headers["etag"] == f'"{answer.json()["version"]}"'
    for path, body in (("claim", {}), ("approve", {}), ("edit", {"edits": {"temperature": 1}}), ("reject", {})):
        refused = await people.ask(BO, "POST", f"/hitl/runs/{run_id}/{path}", body)
        told = problem(refused, 409, "claimed_by_other")
        assert (told["holder"], told["lease_until"]) == ("ann", task["lease_until"])
    released = await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/release", {})
    assert released.json()["checkpoint"]["task"]["state"] == "open"
    problem(await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/release", {}), 409, "not_claimed")
    assert (await people.ask(BO, "POST", f"/hitl/runs/{run_id}/approve", {})).status_code == 200


async def test_a_claim_again_is_a_renewal_and_changes_nothing_at_once(people: People) -> None:
    """Twice the same is no error, and costs no event."""
    run_id = await people.tell(under({}))
    first = await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/claim", {})
    again = await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/claim", {})
    assert (again.status_code, again.json()["version"]) == (200, first.json()["version"])


async def test_an_override_needs_an_administrator_and_a_reason(people: People) -> None:
    """Each lack has its own answer."""
    run_id = await people.tell(under({}))
    await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/claim", {})
    path = f"/hitl/runs/{run_id}/claim"
    problem(await people.ask(BO, "POST", path, {"override": True, "reason": "mine"}), 403, "forbidden")
    lacking = problem(await people.ask(ADAM, "POST", path, {"override": True}), 422, "validation_failed")
    assert [issue["path"] for issue in lacking["issues"]] == ["/reason"]
    taken = await people.ask(ADAM, "POST", path, {"override": True, "reason": "she is ill"})
    assert taken.json()["checkpoint"]["task"]["claimant"] == "adam"


async def test_a_task_is_assigned_delegated_and_given_back(people: People) -> None:
    """Who asks for help answers for it, and gets it back."""
    run_id = await people.tell(under({"candidates": {"users": ["ann", "bo"]}}))
    assigned = await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/assign", {"to": {"user": "bo"}})
    assert assigned.json()["checkpoint"]["assignee"] == "bo"
    body = {"to": {"user": "cy"}, "return": True}
    delegated = await people.ask(BO, "POST", f"/hitl/runs/{run_id}/delegate", body)
    task = delegated.json()["checkpoint"]["task"]
    assert (task["owner"], task["assignee"], task["delegation"]) == ("bo", "cy", "asked")
    problem(await people.ask(BO, "POST", f"/hitl/runs/{run_id}/approve", {}), 409, "delegated")
    returned = await people.ask(CY, "POST", f"/hitl/runs/{run_id}/return", {"comment": "it is fine"})
    task = returned.json()["checkpoint"]["task"]
    assert (task["assignee"], task["delegation"], task["comments"]) == ("bo", "returned", 1)
    assert (await people.ask(BO, "POST", f"/hitl/runs/{run_id}/approve", {})).status_code == 200


async def test_a_vote_that_does_not_decide_yet_is_answered_with_the_open_checkpoint(people: People) -> None:
    """A second vote of the same person is refused, whichever key it comes by; the last one decides."""
    run_id = await people.tell(under({"approvals_required": 2}))
    first = await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/approve", {})
    checkpoint = first.json()["checkpoint"]
    assert (first.status_code, len(checkpoint["approvals"]), checkpoint["approvals_required"]) == (200, 1, 2)
    assert [(vote["by"], vote["action"], vote["counts"]) for vote in checkpoint["task"]["votes"]] == [
        ("ann", "approve", True)
    ]
    problem(await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/approve", {}), 409, "already_voted")
    decided = await people.ask(BO, "POST", f"/hitl/runs/{run_id}/approve", {})
    assert decided.json()["checkpoint"] is None
    assert [vote["by"] for vote in decided.json()["last_approval"]["votes"]] == ["ann", "bo"]


async def test_who_is_no_candidate_gets_403(people: People) -> None:
    """With those who are, if one may read the run: so one knows whom to ask. Else with nothing of the run at all."""
    run_id = await people.tell(under({"candidates": {"groups": ["legal"]}}))
    told = problem(await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/approve", {}), 403, "not_candidate")
    assert "candidates" not in told
    await people.ask(ADAM, "POST", f"/hitl/runs/{run_id}/delegate", {"to": {"user": "ann"}})
    await people.ask(ADAM, "POST", f"/hitl/runs/{run_id}/return", {})
    told = problem(await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/approve", {}), 403, "not_candidate")
    assert told["candidates"] == {"users": [], "groups": ["legal"]}
    assert (await people.ask(BO, "POST", f"/hitl/runs/{run_id}/approve", {})).status_code == 200


async def test_it_is_escalated_and_rescheduled(people: People) -> None:
    """A date that is null is taken away; what is not named stays."""
    rules = {"escalate_to": {"groups": ["leads"]}, "due_seconds": 3600}
    run_id = await people.tell(under(rules))
    path = f"/hitl/runs/{run_id}/reschedule"
    moved = await people.ask(ANN, "POST", path, {"priority": 90, "due_at": None})
    task = moved.json()["checkpoint"]["task"]
    assert (task["priority"], task["due_at"], task["follow_up_at"]) == (90, None, None)
    escalated = await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/escalate", {"reason": "urgent"})
    task = escalated.json()["checkpoint"]["task"]
    assert (task["candidates"], task["escalated"]) == ({"users": [], "groups": ["leads"]}, 1)
    problem(await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/approve", {}), 403, "not_candidate")
    assert (await people.ask(CY, "POST", f"/hitl/runs/{run_id}/approve", {})).status_code == 200


BAD: list[tuple[str, Any, str]] = [
    ("assign", {}, "/to"),
    ("assign", {"to": {}}, "/to"),
    ("assign", {"to": {"user": "bo", "group": "legal"}}, "/to"),
    ("assign", {"to": {"user": ""}}, "/to/user"),
    ("assign", {"to": "bo"}, "/to"),
    ("delegate", {"to": {"group": "legal"}}, "/to/user"),
    ("delegate", {"to": {"user": "bo"}, "return": 1}, "/return"),
    ("claim", {"until": "tomorrow"}, "/until"),
    ("claim", {"actor": "bo"}, "/actor"),
    ("claim", {"override": "yes"}, "/override"),
    ("escalate", {"to": {"users": ["x"] * 101}}, "/to/users"),
    ("escalate", {}, "/to"),
    ("reschedule", {"priority": 101}, "/priority"),
    ("reschedule", {"due_at": "2026-03-02"}, "/due_at"),
    ("reschedule", {"due_at": "2020-01-01T00:00:00Z"}, "/due_at"),
    ("reschedule", {"due_at": "9999-12-31T23:59:59-12:00"}, "/due_at"),
    ("escalate", {"to": {"users": [f"p{number}" for number in range(100)], "user": "ann"}}, "/to"),
    ("return", {"comment": ""}, "/comment"),
]


@pytest.mark.parametrize(("action", "body", "path"), BAD)
async def test_a_bad_request_names_its_member_and_changes_nothing(
    people: People, action: str, body: Any, path: str
) -> None:
    """The view is as it was."""
    run_id = await people.tell(under({}))
    before = (await people.ask(ADAM, "GET", f"/hitl/runs/{run_id}")).json()
    told = problem(await people.ask(ANN, "POST", f"/hitl/runs/{run_id}/{action}", body), 422, "validation_failed")
    assert path in [issue["path"] for issue in told["issues"]]
    assert (await people.ask(ADAM, "GET", f"/hitl/runs/{run_id}")).json() == before


@pytest.mark.parametrize("action", TASK_BODIES)
async def test_who_has_no_right_and_what_is_not_there(people: People, action: str) -> None:
    """An auditor changes nothing, a requester decides nothing, and a run that is not there is 404."""
    run_id = await people.tell(under({}))
    body = {"to": {"user": "bo"}} if action in ("assign", "delegate") else {}
    for who in (AUDREY, RITA):
        problem(await people.ask(who, "POST", f"/hitl/runs/{run_id}/{action}", body), 403, "forbidden")
    nowhere = "/hitl/runs/00000000-0000-4000-8000-000000000001"
    problem(await people.ask(ANN, "POST", f"{nowhere}/{action}", body), 404, "run_not_found")
