"""The same decision on several checkpoints: one answer an item, in order, through the path of single decisions."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from structlog.testing import capture_logs

from contracts.runs.tasks.rules import ReviewRules
from testkit.runs.commands import prepared, start
from testkit.runs.people import ADAM, ANN, AUDREY, BO, RITA
from testkit.runs.specification import given
from testkit.runs.tasks import under

from .over_http import problem
from .people_site import People


async def item_of(people: People, run_id: UUID) -> dict[str, Any]:
    """Return what waits, as an item."""
    checkpoint = (await people.ask(ADAM, "GET", f"/hitl/runs/{run_id}")).json()["checkpoint"]
    named = {name: checkpoint[name] for name in ("checkpoint_id", "subject_sha256")}
    return {"run_id": str(run_id), **named}


async def items_of(people: People, count: int) -> list[dict[str, Any]]:
    """Let so many runs wait, and return what waits as items."""
    config: dict[str, Any] = {"allowed_steps": ("payload_review",), "timeout_seconds": 86_400}
    stories = []
    for _ in range(count):
        run_id = uuid4()
        asks = (start(review=ReviewRules(), **config).but(principal=RITA, actor=RITA.subject), prepared())
        stories.append(given(*(ask.but(run_id=run_id, command_id=uuid4()) for ask in asks)))
    return [await item_of(people, await people.tell(story)) for story in stories]


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


async def test_behind_a_late_item_the_rest_is_not_asked(people: People) -> None:
    """A late one has no view but a command that is pending; the same request again goes on."""
    orchestrator = people.site.orchestrator
    items = await items_of(people, 4)
    asked: list[int] = []

    def late_from_the_second_on() -> None:
        asked.append(1)
        orchestrator.is_late = len(asked) > 1

    orchestrator.on_decision = late_from_the_second_on
    key, body = {"Idempotency-Key": "k"}, {"action": "approve", "items": items}
    told = (await people.ask(ANN, "POST", "/hitl/approvals/bulk", body, **key)).json()["items"]
    assert [one["status"] for one in told] == [200, 202, 503, 503]
    assert len(asked) == 2
    assert told[1].keys() == {"run_id", "status", "pending"}
    assert told[1]["pending"].keys() == {"run_id", "command_id", "state", "detail"}
    for one in told[2:]:
        assert one["problem"]["code"] == "unavailable"
        assert "Idempotency-Key" in one["problem"]["detail"]
    orchestrator.on_decision, orchestrator.is_late = (lambda: None), False
    again = (await people.ask(ANN, "POST", "/hitl/approvals/bulk", body, **key)).json()["items"]
    assert [one["status"] for one in again] == [200] * 4
    assert again[0]["view"]["version"] == told[0]["view"]["version"]


async def test_items_are_not_asked_while_kafka_takes_no_commands(people: People) -> None:
    """One item waits for it, and not each."""
    items = await items_of(people, 2)
    people.site.orchestrator.broker.is_available = False
    body = {"action": "approve", "items": items}
    told = (await people.ask(ANN, "POST", "/hitl/approvals/bulk", body)).json()["items"]
    details = [one["problem"]["detail"] for one in told]
    assert [one["status"] for one in told] == [503, 503]
    assert ["not asked" in detail for detail in details] == [False, True]


async def test_a_fault_of_ours_is_one_items_problem(people: People) -> None:
    """It is logged, and neither the answers before it are lost nor the items behind it."""
    items = await items_of(people, 3)
    asked: list[int] = []

    def fail_at_the_second() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise RuntimeError("a bug")

    people.site.orchestrator.on_decision = fail_at_the_second
    body = {"action": "approve", "items": items}
    with capture_logs() as logs:
        answer = await people.ask(ANN, "POST", "/hitl/approvals/bulk", body)
    told = answer.json()["items"]
    assert [one["status"] for one in told] == [200, 500, 200]
    assert told[1]["problem"]["code"] == "internal_error"
    assert [(log["run_id"], log["log_level"]) for log in logs if "exc_info" in log] == [(items[1]["run_id"], "error")]


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
