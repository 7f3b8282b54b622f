"""A route chooses, falls back, and records its reasons in the history."""

from __future__ import annotations

from typing import Any

from testkit.stack.user import User


async def routings(user: User, run_id: str) -> list[dict[str, Any]]:
    """Return what the routes of a run chose, in order."""
    history = await user.history(run_id)
    return [event["data"]["preparation"]["routing"] for event in history if event["kind"] == "run-prepared.v1"]


async def test_a_route_is_asked_for_like_a_model_and_says_what_it_chose(cleo: User) -> None:
    """The cheapest by its estimate; the run's view names who is called."""
    offered = (await cleo.http.get("/providers/router")).json()
    assert [model["name"] for model in offered["models"]] == ["thrifty", "steady"]
    started = await cleo.start(provider="router", model="thrifty", operation="text")
    view = await cleo.until(started["run_id"], "completed")
    (routing,) = await routings(cleo, started["run_id"])
    assert (routing["route"], routing["reason"]["code"]) == ("thrifty", "cheapest")
    estimates = {one["provider"]: one["estimate"] for one in routing["considered"]}
    assert set(estimates) == {"sandbox", "openai"}
    assert view["provider"] == min(estimates, key=lambda name: float(estimates[name]))


async def test_a_provider_that_fails_is_left_for_the_next_and_the_history_says_why(cleo: User) -> None:
    """The first provider answers 500, and the run completes on the second."""
    started = await cleo.start(provider="router", model="steady", operation="text")
    view = await cleo.until(started["run_id"], "completed")
    assert (view["provider"], view["model"]) == ("sandbox", "sandbox-1")
    (fallen,) = [event for event in await cleo.history(started["run_id"]) if event["kind"] == "route-fell-back.v1"]
    assert fallen["data"]["failed"] == {"provider": "openai", "model": "fault-500"}
    assert fallen["data"]["reason"]["code"] == "provider_error"
    first, then = await routings(cleo, started["run_id"])
    assert (first["reason"]["code"], then["reason"]["code"]) == ("first", "only_one")
    assert {one["provider"]: one["reason"]["code"] for one in then["considered"]} == {
        "openai": "tried",
        "sandbox": "only_one",
    }


async def test_a_route_that_there_is_not_fails_the_run_and_names_those_there_are(cleo: User) -> None:
    """As a model that there is not does."""
    started = await cleo.start(provider="router", model="lost")
    error = (await cleo.until(started["run_id"], "failed"))["error"]
    assert error["message"] == "There is no route 'lost'; there are thrifty, steady."
    assert error["issues"][0]["path"] == "/model"


async def test_a_reviewer_sees_what_was_chosen_among(cleo: User) -> None:
    """Before anything is called."""
    hitl = {"policy": "require_human", "allowed_steps": ["payload_review"]}
    started = await cleo.start(provider="router", model="thrifty", operation="text", hitl=hitl)
    asked = await cleo.until(started["run_id"], "payload_review")
    assert asked["checkpoint_context"]["routing"]["reason"]["code"] == "cheapest"
