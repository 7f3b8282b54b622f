"""A provider is one file and one entry point: a package from outside is installed, and runs use it."""

from __future__ import annotations

from testkit.stack.user import User

BOTH = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}


async def test_a_package_adds_a_provider(cleo: User) -> None:
    """It is listed with what it offers, its schema is the reviewer's form, and its answer is the run's result."""
    offers = (await cleo.http.get("/providers")).json()["items"]
    assert "reverse" in [offer["provider"] for offer in offers]
    started = await cleo.start(provider="reverse", prompt="stressed", hitl=BOTH)
    asked = await cleo.until(started["run_id"], "payload_review")
    assert asked["checkpoint"]["subject"] == {"text": "stressed"}
    assert asked["checkpoint"]["subject_schema"]["required"] == ["text"]
    assert (await cleo.decide(asked, "edit", edits={"text": ""})).status_code == 422
    await cleo.decide(asked, "edit", edits={"text": "diaper"})
    await cleo.decide(await cleo.until(started["run_id"], "response_review"), "approve")
    assert (await cleo.until(started["run_id"], "completed"))["result"] == {"text": "repaid"}
