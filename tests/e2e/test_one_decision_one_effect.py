"""One decision, one effect; an approval is bound to the bytes seen."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from contracts.json_values import digest
from testkit.stack.services import Stack
from testkit.stack.user import User

TWO = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}
PAYLOAD = {"policy": "require_human", "allowed_steps": ["payload_review"]}

ROUNDS = 200
EMBEDDED_ROUNDS = 40
"""The embedded broker adds 25 ms a hop and nothing to the proof."""


async def test_of_two_opposite_decisions_at_once_exactly_one_wins_200_times(ann: User, bob: User, stack: Stack) -> None:
    """The loser gets 409 with the winner's decision, and the run went the winner's way."""
    limit = asyncio.Semaphore(8)

    async def race() -> str:
        async with limit:
            run_id = (await ann.start(hitl=PAYLOAD))["run_id"]
            view = await ann.until(run_id, "payload_review")
            answers = await asyncio.gather(ann.decide(view, "approve"), bob.decide(view, "reject", reason="no"))
        by_status = {answer.status_code: answer.json() for answer in answers}
        assert sorted(by_status) == [200, 409], by_status
        won = by_status[200]["last_approval"]
        lost = by_status[409]
        assert lost["code"] == "checkpoint_already_decided"
        assert (lost["decision"]["actor"], lost["decision"]["action"]) == (won["actor"], won["action"])
        kinds = await _settled(ann, run_id, won["action"])
        assert kinds.count("checkpoint-approved") + kinds.count("checkpoint-rejected") == 1
        return str(won["action"])

    rounds = EMBEDDED_ROUNDS if stack.kafka.embedded else ROUNDS
    winners = await asyncio.gather(*(race() for _ in range(rounds)))
    assert len(winners) == rounds


async def _settled(user: User, run_id: str, action: str) -> list[str]:
    await user.until(run_id, "completed" if action == "approve" else "cancelled")
    return await user.kinds(run_id)


async def test_a_double_click_takes_effect_once(ann: User) -> None:
    """The same person sends the same approval twice at once; the call is made once."""
    run_id = (await ann.start(hitl=PAYLOAD))["run_id"]
    view = await ann.until(run_id, "payload_review")
    answers = await asyncio.gather(ann.decide(view, "approve"), ann.decide(view, "approve"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    await ann.until(run_id, "completed")
    assert (await ann.kinds(run_id)).count("call-ordered") == 1


async def test_the_same_idempotency_key_always_gets_the_same_answer(ann: User) -> None:
    """Also after the run has moved on; another body with the key is refused."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    view = await ann.until(run_id, "payload_review")
    key = {"Idempotency-Key": uuid4().hex}
    body = {"checkpoint_id": view["checkpoint"]["checkpoint_id"], "actor": "ann"}
    first = await ann.post(run_id, "approve", headers=key, **body)
    await ann.until(run_id, "response_review")
    again = await ann.post(run_id, "approve", headers=key, **body)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    other = await ann.post(run_id, "approve", headers=key, **{**body, "comment": "another body"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_refusal_is_the_answer_of_its_key_for_ever(ann: User) -> None:
    """A refused request, sent again when it would be allowed, is refused again."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    key = {"Idempotency-Key": uuid4().hex}
    view = await ann.until(run_id, "payload_review")
    refused = await ann.post(run_id, "resume", headers=key)
    assert refused.status_code == 409
    await ann.post(run_id, "pause")
    again = await ann.post(run_id, "resume", headers=key)
    assert (again.status_code, again.json()) == (409, refused.json())
    assert (await ann.view(run_id))["checkpoint"] is not None
    assert view["paused"] is False


async def test_a_start_with_the_same_key_starts_one_run(ann: User) -> None:
    """A client that lost the answer sends the start again."""
    key = {"Idempotency-Key": uuid4().hex}
    body = {"prompt": "once", "hitl_config": TWO}
    first, again = await asyncio.gather(
        ann.http.post("/hitl/runs", json=body, headers=key), ann.http.post("/hitl/runs", json=body, headers=key)
    )
    assert first.status_code == again.status_code == 201
    assert first.json()["run_id"] == again.json()["run_id"]


async def test_an_approval_of_other_bytes_is_refused(ann: User) -> None:
    """The digest that the reviewer saw is compared with what waits."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    view = await ann.until(run_id, "payload_review")
    assert view["checkpoint"]["subject_sha256"] == digest(view["checkpoint"]["subject"])
    refused = await ann.decide(view, "approve", subject_sha256="0" * 64)
    assert (refused.status_code, refused.json()["code"]) == (409, "subject_changed")
    assert (await ann.decide(view, "approve")).status_code == 200


async def test_what_is_called_is_what_was_approved(ann: User) -> None:
    """The order to call carries the digest of the approved subject."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    view = await ann.until(run_id, "payload_review")
    await ann.decide(view, "approve")
    await ann.until(run_id, "response_review")
    ordered = next(event for event in await ann.history(run_id) if event["kind"] == "call-ordered.v1")
    assert ordered["data"]["payload_sha256"] == view["checkpoint"]["subject_sha256"]


async def test_a_checkpoint_that_is_not_the_open_one_is_refused(ann: User) -> None:
    """Decisions name what they decide."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    view = await ann.until(run_id, "payload_review")
    refused = await ann.decide(view, "approve", checkpoint_id=str(uuid4()))
    assert (refused.status_code, refused.json()["code"]) == (409, "checkpoint_mismatch")


async def test_if_match_guards_a_decision(ann: User) -> None:
    """The version that the client read is the version that it decides on."""
    run_id = (await ann.start(hitl=TWO))["run_id"]
    view = await ann.until(run_id, "payload_review")
    old = await ann.post(run_id, "approve", headers={"If-Match": f'"{view["version"] - 1}"'})
    assert (old.status_code, old.json()["version"]) == (412, view["version"])
    assert (await ann.post(run_id, "approve", headers={"If-Match": f'"{view["version"]}"'})).status_code == 200
