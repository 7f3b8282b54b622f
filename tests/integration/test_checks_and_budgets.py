"""Checks and budgets stop runs that policy would have passed, and a person lets them go on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from testkit.stack.user import User

AWS_KEY = "AKIAIOSFODNN7EXAMPLE"  # Amazon's own, of its documentation


def _reasons(view: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in view["checkpoint"]["reasons"]]


async def test_a_package_adds_a_check(cleo: User) -> None:
    """One file and one entry point; a run that asks for it waits for a person, though its policy is `auto`."""
    started = await cleo.start(prompt=f"deploy with {AWS_KEY}", hitl={"checks": ["secrets"]})
    asked = await cleo.until(started["run_id"], "payload_review")
    assert asked["checkpoint"]["reasons"] == [
        {"code": "secret_found", "message": "Looks like a secret: AWS Access Key."}
    ]
    (finding,) = asked["checkpoint_context"]["signals"]["findings"]
    assert (finding["check"], finding["data"]) == ("secrets", {"kinds": ["AWS Access Key"]})
    assert (await cleo.decide(asked, "edit", edits={"prompt": "deploy with a key"})).is_success
    await cleo.until(started["run_id"], "completed")
    assert (await cleo.kinds(started["run_id"])).count("checkpoint-opened") == 1


async def test_an_edit_is_checked_again(cleo: User) -> None:
    """A secret that a person pastes into the payload is found before the call, one in the response before the result."""
    started = await cleo.start(prompt=f"deploy with {AWS_KEY}", hitl={"checks": ["secrets"]})
    asked = await cleo.until(started["run_id"], "payload_review")
    other = "AKIAI44QH8DHBEXAMPLE"
    await cleo.decide(asked, "edit", edits={"prompt": f"deploy with {other}, not with {AWS_KEY}"})
    again = await cleo.until(started["run_id"], "payload_review")
    assert again["checkpoint"]["checkpoint_id"] != asked["checkpoint"]["checkpoint_id"]
    assert _reasons(again) == ["secret_found"]
    await cleo.decide(again, "edit", edits={"prompt": "deploy with a key"})
    await cleo.until(started["run_id"], "completed")


async def test_a_response_is_checked_before_its_review(cleo: User) -> None:
    """Answers are checked too: the sandbox repeats its prompt."""
    started = await cleo.start(prompt=f"repeat {AWS_KEY}", hitl={"checks": ["secrets"]})
    await cleo.decide(await cleo.until(started["run_id"], "payload_review"), "approve")
    asked = await cleo.until(started["run_id"], "response_review")
    assert _reasons(asked) == ["secret_found"]
    await cleo.decide(asked, "reject", reason="it leaks")
    assert (await cleo.until(started["run_id"], "cancelled"))["error"]["code"] == "rejected"


async def test_personal_data_asks_for_a_person_and_is_not_repeated(cleo: User) -> None:
    """Kinds, counts and places; neither reasons nor findings hold the card's number."""
    card = "4111 1111 1111 1111"
    started = await cleo.start(prompt=f"charge {card}", hitl={"checks": ["pii"]})
    asked = await cleo.until(started["run_id"], "payload_review")
    assert _reasons(asked) == ["pii_found"]
    found = {"reasons": asked["checkpoint"]["reasons"], "signals": asked["checkpoint_context"]["signals"]}
    assert found["signals"]["safety_flags"] == ["pii"]
    assert card not in str(found)


@pytest.mark.parametrize(("policy", "state"), [("auto", "completed"), ("auto_with_thresholds", "payload_review")])
async def test_what_moderation_flags_is_judged_by_the_policy_where_the_operator_leaves_it_to_it(
    cleo: User, policy: str, state: str
) -> None:
    """Without force a finding is a flag among others; here through OpenAI's endpoint."""
    hitl = {"checks": ["moderation"], "policy": policy, "allowed_steps": ["payload_review"]}
    started = await cleo.start(prompt="[moderation:sexual]", hitl=hitl)
    view = await cleo.until(started["run_id"], state)
    assert state == "completed" or _reasons(view) == ["safety_flagged"]


async def test_an_unknown_check_fails_the_run_with_its_place(cleo: User) -> None:
    """A run does not go on without what it counts on; the choices are named."""
    started = await cleo.start(hitl={"checks": ["virus"]})
    error = (await cleo.until(started["run_id"], "failed"))["error"]
    assert (error["code"], error["issues"][0]["path"]) == ("check_unknown", "/hitl_config/checks/0")
    assert "cost, moderation, pii, secrets" in error["message"]


async def test_a_run_beyond_its_own_budget_waits_for_a_person(cleo: User) -> None:
    """Who is told whose budget it is and what is left; an approval makes the call all the same."""
    started = await cleo.start(hitl={"budget": "0.001"})
    asked = await cleo.until(started["run_id"], "payload_review")
    assert _reasons(asked) == ["budget_exceeded"]
    assert "of the run's budget $0.001 of $0.001 is left" in asked["checkpoint"]["reasons"][0]["message"]
    await cleo.decide(asked, "approve")
    await cleo.until(started["run_id"], "completed")


@pytest.mark.parametrize("budget", ["0", "-1", "much"])
async def test_a_budget_that_makes_no_sense_is_refused_at_the_door(cleo: User, budget: str) -> None:
    """422, and the member is named."""
    answer = await cleo.http.post("/hitl/runs", json={"prompt": "p", "hitl_config": {"budget": budget}})
    assert answer.status_code == 422
    assert "budget" in answer.text


async def test_of_runs_at_once_as_many_fit_as_their_user_can_pay(cleo: User) -> None:
    """Two of six fit into what `poor` may spend, and hold it while they wait; who looks at the others is told."""
    hitl = {"policy": "require_human", "allowed_steps": ["payload_review"]}
    runs = await asyncio.gather(*(cleo.start(prompt="Hello", user_id="poor", hitl=hitl) for _ in range(6)))
    views = await asyncio.gather(*(cleo.until(run["run_id"], "payload_review") for run in runs))
    fitting = [view for view in views if _reasons(view) == ["policy_requires_human"]]
    short = [view for view in views if _reasons(view) == ["budget_exceeded", "policy_requires_human"]]
    assert (len(fitting), len(short)) == (2, 4)
    await cleo.decide(fitting[0], "approve")
    await cleo.until(fitting[0]["run_id"], "completed")


async def test_silence_does_not_approve_what_goes_beyond_a_budget(cleo: User) -> None:
    """A timeout that approves cannot pass the gate, and no call is made."""
    hitl = {"budget": "0.001", "timeout_seconds": 0.1, "on_timeout": "approve"}
    started = await cleo.start(hitl=hitl)
    assert (await cleo.until(started["run_id"], "failed"))["error"]["code"] == "checkpoint_timeout"
    assert "call-ordered" not in await cleo.kinds(started["run_id"])
