"""Tasks on the real services: one holder, one end, and times that come by themselves."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any

from testkit.stack.services import Stack
from testkit.stack.user import User, until

ROUNDS = 200
EMBEDDED_ROUNDS = 40
"""The embedded broker adds 25 ms a hop and nothing to the proof."""

AT_ONCE = 20


def config(**rules: Any) -> dict[str, Any]:
    """Return a configuration with one review under these rules."""
    timeout = rules.pop("timeout_seconds", 3600)
    return {
        "policy": "require_human",
        "allowed_steps": ["payload_review"],
        "timeout_seconds": timeout,
        "review": rules,
    }


def rounds_of(stack: Stack) -> int:
    """Return how often a race is run."""
    return EMBEDDED_ROUNDS if stack.kafka.embedded else ROUNDS


async def test_of_two_claimers_at_once_exactly_one_holds_it_200_times(ann: User, bob: User, stack: Stack) -> None:
    """The other gets 409 with the holder's name, and the history has one claim."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def race() -> str:
        async with limit:
            run_id = (await ann.start(hitl=config(lease_seconds=600)))["run_id"]
            await ann.until(run_id, "payload_review")
            answers = await asyncio.gather(*(who.post(run_id, "claim", actor=who.name) for who in (ann, bob)))
        by_status = {answer.status_code: answer.json() for answer in answers}
        assert sorted(by_status) == [200, 409], by_status
        holder = by_status[200]["checkpoint"]["task"]["claimant"]
        assert (by_status[409]["code"], by_status[409]["holder"]) == ("claimed_by_other", holder)
        assert (await ann.kinds(run_id)).count("task-claimed") == 1
        return str(holder)

    winners = await asyncio.gather(*(race() for _ in range(rounds_of(stack))))
    assert len(winners) == rounds_of(stack)


async def test_a_last_vote_and_an_expiry_have_one_winner_200_times(ann: User, bob: User, stack: Stack) -> None:
    """Either the vote completed the quorum and the call was made, or the time passed and no call was."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def race(number: int) -> str:
        async with limit:
            hitl = config(approvals_required=2, timeout_seconds=1.0)
            run_id = (await ann.start(hitl=hitl))["run_id"]
            view = await ann.until(run_id, "payload_review", "failed")
            await ann.post(run_id, "approve", actor="ann")
            ends = datetime.fromisoformat(view["checkpoint"]["expires_at"]).timestamp() if view["checkpoint"] else 0
            # Some votes come before the end, some with it, some behind it: 60 ms to either side.
            await asyncio.sleep(max(ends - datetime.now().astimezone().timestamp() + (number % 13 - 6) / 100, 0))
            vote = await bob.post(run_id, "approve", actor="bob")
            ended = await ann.until(run_id, "completed", "failed")
        kinds = Counter(await ann.kinds(run_id))
        assert kinds["checkpoint-approved"] + kinds["checkpoint-expired"] == 1, kinds
        assert kinds["call-ordered"] == kinds["checkpoint-approved"]
        assert (ended["state"] == "completed") == (vote.status_code == 200), (ended["state"], vote.text)
        assert vote.status_code in (200, 409)
        return str(ended["state"])

    ends = Counter(await asyncio.gather(*(race(number) for number in range(rounds_of(stack)))))
    assert ends.total() == rounds_of(stack)


async def test_of_many_last_votes_at_once_one_decides(ann: User, stack: Stack) -> None:
    """Three of ten are enough; whoever comes behind the third is told who decided, and one call is made."""
    for _ in range(rounds_of(stack) // 10):
        run_id = (await ann.start(hitl=config(approvals_required=3)))["run_id"]
        view = await ann.until(run_id, "payload_review")
        votes = [ann.decide(view, "approve", actor=f"voter {number}") for number in range(10)]
        answers = Counter([answer.status_code for answer in await asyncio.gather(*votes)])
        assert answers == {200: 3, 409: 7}
        done = await ann.until(run_id, "completed")
        assert len(done["last_approval"]["votes"]) == 3
        kinds = Counter(await ann.kinds(run_id))
        assert (kinds["vote-cast"], kinds["checkpoint-approved"], kinds["call-ordered"]) == (3, 1, 1)


async def test_a_lease_is_announced_and_ends_by_itself(ann: User, bob: User) -> None:
    """Who does nothing holds it no longer, and the next one may."""
    run_id = (await ann.start(hitl=config(lease_seconds=2)))["run_id"]
    await ann.until(run_id, "payload_review")
    await ann.post(run_id, "claim", actor="ann")
    assert (await bob.post(run_id, "claim", actor="bob")).status_code == 409

    async def is_open() -> bool | None:
        return (await ann.view(run_id))["checkpoint"]["task"]["state"] == "open" or None

    await until(is_open, lambda: ann.http.get(f"/hitl/runs/{run_id}"))
    kinds = await ann.kinds(run_id)
    assert kinds[-3:] == ["task-claimed", "claim-ending", "claim-ended"]
    assert (await bob.post(run_id, "claim", actor="bob")).json()["checkpoint"]["task"]["claimant"] == "bob"


async def test_reminders_and_an_escalation_come_once_each(ann: User) -> None:
    """The holder loses it, and others are asked."""
    rules = {
        "reminders_seconds": [0.5, 1.0],
        "start_by_seconds": 0.7,
        "due_seconds": 1.2,
        "escalate_after_seconds": 1.5,
    }
    run_id = (await ann.start(hitl=config(**rules, escalate_to={"users": ["cleo"]})))["run_id"]
    await ann.until(run_id, "payload_review")

    async def is_escalated() -> bool | None:
        return (await ann.view(run_id))["checkpoint"]["task"]["escalated"] == 1 or None

    await until(is_escalated, lambda: ann.http.get(f"/hitl/runs/{run_id}"))
    told = [
        event["data"].get("what", event["kind"])
        for event in await ann.history(run_id)
        if event["kind"].startswith("task-")
    ]
    assert told == ["reminder", "start_by", "reminder", "due_at", "task-escalated.v1"]
    task = (await ann.view(run_id))["checkpoint"]["task"]
    assert (task["missed"], task["reminded"]) == (["start_by", "due_at"], 2)
    assert task["candidates"] == {"users": ["cleo"], "groups": []}
