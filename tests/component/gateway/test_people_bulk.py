"""The same decision on several checkpoints: one answer an item, in order, through the path of single decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from testkit.runs.people import ADAM, ANN, AUDREY, BO, RITA
from testkit.runs.tasks import under

from .over_http import problem
from .people_site import People


async def item_of(people: People, run_id: UUID) -> dict[str, Any]:
    """Return what waits, as an item."""
    checkpoint = (await people.ask(ADAM, "GET", f"/hitl/runs/{run_id}")).json()["checkpoint"]
    named = {name: checkpoint[name] for name in ("checkpoint_id", "subject_sha256")}
    return {"run_id": str(run_id), **named}


async def test_each_item_gets_an_answer_of_its_own(people: People) -> None:
    """What is refused stops nothing that follows; the answers come in the order of the items."""
    item = await item_of(people, await people.tell(under({})))
    nowhere = {**item, "run_id": "00000000-0000-4000-8000-000000000001"}
    changed = {**item, "subject_sha256": "0" * 64}
    body = {"action": "approve", "items": [nowhere, changed, item, item], "comment": "all fine"}
    answer = await people.ask(ANN, "POST", "/hitl/approvals/bulk", body)
    assert answer.status_code == 200
    told = answer.json()["items"]
    assert [one["status"] for one in told] == [404, 409, 200, 409]
    assert [one["problem"]["code"] for one in told if "problem" in one] == [
        "run_not_found",
        "subject_changed",
        "checkpoint_already_decided",
    ]
    assert told[2]["view"]["last_approval"]["comment"] == "all fine"
    assert [one["run_id"] for one in told] == [one["run_id"] for one in body["items"]]  # type: ignore[index]


async def test_the_same_request_again_goes_on_and_decides_nothing_twice(people: People) -> None:
    """What was decided is answered again; another body under the key is another request."""
    item = await item_of(people, await people.tell(under({})))
    key = {"Idempotency-Key": "k"}
    body = {"action": "approve", "items": [item]}
    first = await people.ask(ANN, "POST", "/hitl/approvals/bulk", body, **key)
    assert first.json()["items"][0]["status"] == 200
    other = await people.ask(ANN, "POST", "/hitl/approvals/bulk", {**body, "comment": "other"}, **key)
    assert other.json()["items"][0]["problem"]["code"] == "idempotency_key_reused"


async def test_no_rule_is_got_round(people: People) -> None:
    """Candidates, four eyes and votes hold for each item."""
    item = await item_of(
        people, await people.tell(under({"candidates": {"groups": ["legal"]}, "approvals_required": 2}))
    )
    body = {"action": "approve", "items": [item]}
    refused = (await people.ask(ANN, "POST", "/hitl/approvals/bulk", body)).json()["items"][0]
    assert (refused["status"], refused["problem"]["code"]) == (403, "not_candidate")
    voted = (await people.ask(BO, "POST", "/hitl/approvals/bulk", body)).json()["items"][0]
    assert len(voted["view"]["checkpoint"]["task"]["votes"]) == 1
    for who in (RITA, AUDREY):
        problem(await people.ask(who, "POST", "/hitl/approvals/bulk", body), 403, "forbidden")


async def test_a_rejection_says_why(people: People) -> None:
    """The reason is every item's."""
    item = await item_of(people, await people.tell(under({})))
    body = {"action": "reject", "items": [item], "reason": "wrong tone", "reason_code": "tone"}
    told = (await people.ask(ANN, "POST", "/hitl/approvals/bulk", body)).json()["items"][0]
    assert (told["view"]["state"], told["view"]["last_approval"]["reason_code"]) == ("cancelled", "tone")


async def test_a_bad_body_decides_nothing(people: People) -> None:
    """None, too many, edits, an item without the bytes that were seen."""
    item = await item_of(people, await people.tell(under({})))
    unseen = {name: item[name] for name in ("run_id", "checkpoint_id")}
    for body, path in (
        ({"action": "approve", "items": []}, "/items"),
        ({"action": "approve", "items": [item] * 201}, "/items"),
        ({"action": "edit", "items": [item]}, "/action"),
        ({"action": "approve", "items": [unseen]}, "/items/0/subject_sha256"),
        ({"action": "approve", "items": [{**item, "edits": {}}]}, "/items/0/edits"),
        ({"items": [item]}, "/action"),
    ):
        told = problem(await people.ask(ANN, "POST", "/hitl/approvals/bulk", body), 422, "validation_failed")
        assert told["issues"][0]["path"] == path
