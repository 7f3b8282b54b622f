"""Runs on the sandbox with its faults, and on OpenAI through its SDK."""

from __future__ import annotations

from typing import Any

import pytest

from testkit.stack.user import User
from testkit.stack.vendors import FakeVendor

RESPONSE = {"policy": "require_human", "allowed_steps": ["response_review"]}


async def test_the_sandbox_answers_text_by_a_rule(ann: User) -> None:
    """The same prompt gets the same answer."""
    runs = [(await ann.start(prompt="same"))["run_id"] for _ in range(2)]
    results = [(await ann.until(run_id, "completed"))["result"] for run_id in runs]
    assert results[0] == results[1]


async def test_the_sandbox_answers_json_by_schema(ann: User) -> None:
    """The value is valid under the schema that was asked for."""
    schema = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}, "required": ["age"]}
    run_id = (await ann.start(operation="json", parameters={"schema": schema}))["run_id"]
    result = (await ann.until(run_id, "completed"))["result"]
    assert result["json"]["age"] >= 18


async def test_the_sandbox_draws_a_real_png(ann: User) -> None:
    """The image is an artifact, fetched over REST."""
    run_id = (await ann.start(operation="image"))["run_id"]
    ref = (await ann.until(run_id, "completed"))["result"]["images"][0]
    image = await ann.http.get(f"/hitl/artifacts/{ref.removeprefix('artifact:sha256:')}")
    assert image.headers["content-type"] == "image/png"
    assert image.content.startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    ("fault", "code"),
    [("auth", None), ("malformed", None), ("refused", None), ("429", None), ("500", None)],
)
async def test_a_final_fault_fails_an_auto_run_with_a_reason(ann: User, fault: str, code: str | None) -> None:
    """The scripted faults, each ending in an error that a person understands."""
    run_id = (await ann.start(hitl={"max_attempts": 1}, parameters={"fault": fault}))["run_id"]
    error = (await ann.until(run_id, "failed"))["error"]
    assert error["message"]
    assert code is None or error["code"] == code


async def test_a_slow_call_keeps_its_lease(ann: User) -> None:
    """A call that takes longer than its lease is not taken for lost: the worker extends it."""
    hitl = {"lease_seconds": 1}
    run_id = (await ann.start(hitl=hitl, parameters={"fault": "slow", "delay_seconds": 2.5}))["run_id"]
    await ann.until(run_id, "completed")
    kinds = await ann.kinds(run_id)
    assert "lease-extended" in kinds
    assert kinds.count("call-ordered") == 1


async def test_an_unanswered_call_that_costs_nothing_is_made_again(ann: User) -> None:
    """The sandbox is safe to repeat, so an uncertain call is retried without a review."""
    run_id = (await ann.start(parameters={"fault": "timeout", "fault_attempts": 1}))["run_id"]
    await ann.until(run_id, "completed")


async def test_openai_is_called_once_with_the_approved_payload(ann: User, fake_openai: FakeVendor) -> None:
    """Through the vendor's own SDK, with exactly the bytes that were approved."""
    hitl = {"policy": "require_human", "allowed_steps": ["payload_review"]}
    run_id = (await ann.start(provider="openai", model="gpt-5-mini", prompt="Say hello", hitl=hitl))["run_id"]
    payload = await ann.until(run_id, "payload_review")
    before = await fake_openai.calls()
    await ann.decide(payload, "approve")
    done = await ann.until(run_id, "completed")
    assert done["result"]["text"]
    assert await fake_openai.calls() == before + 1


MODEL: dict[str, Any] = {"provider": "openai", "model": "gpt-5.4-mini"}


async def test_an_answer_that_cannot_be_scored_reaches_a_person(ann: User, fake_openai: FakeVendor) -> None:
    """Under the policy `auto` too: with its words, usage and cost. It is bought once."""
    before = await fake_openai.calls()
    run_id = (await ann.start(**MODEL, prompt="Hello [fault:thoughts_only]"))["run_id"]
    view = await ann.until(run_id, "response_review")
    assert view["checkpoint"]["subject"]["reasoning"] == "Good evening."
    (reason,) = view["checkpoint"]["reasons"]
    assert (reason["code"], "cannot be scored" in reason["message"]) == ("unscorable_response", True)
    assert float(view["cost"]["actual"]) > 0
    await ann.decide(view, "approve")
    done = await ann.until(run_id, "completed")
    assert done["result"]["reasoning"] == "Good evening."
    assert await fake_openai.calls() == before + 1


async def test_a_call_of_a_tool_that_was_cut_off_stops_the_run(ann: User) -> None:
    """As a text does that was cut off."""
    hitl = {"policy": "auto_with_thresholds", "allowed_steps": ["response_review"]}
    run_id = (await ann.start(**MODEL, prompt="Hello [fault:cut_call]", hitl=hitl))["run_id"]
    view = await ann.until(run_id, "response_review")
    assert "response_quality_below_min" in [reason["code"] for reason in view["checkpoint"]["reasons"]]
    assert view["checkpoint_context"]["signals"]["response_quality"] == 0.2


async def test_half_an_answer_is_shown_and_can_be_made_the_result(ann: User, fake_openai: FakeVendor) -> None:
    """The connection broke in the middle of it: its words are the subject, its cost is the run's, and an edit takes it."""
    before = await fake_openai.calls()
    hitl = {"policy": "require_human", "allowed_steps": ["response_review"]}
    run_id = (await ann.start(**MODEL, prompt="Hello [fault:cut]", hitl=hitl))["run_id"]
    view = await ann.until(run_id, "api_call")
    half = view["checkpoint"]["subject"]["text"]
    received = view["checkpoint_context"]["failure"]["received"]
    assert half.startswith("The fake")
    assert (received["estimated"], received["raw"]["choices"][0]["message"]["content"]) == (True, half)
    assert float(view["cost"]["actual"]) > 0
    await ann.decide(view, "edit", edits={"text": f"{half}, as far as it came."})
    done = await ann.until(run_id, "completed")
    assert done["result"] == {"text": f"{half}, as far as it came."}
    assert await fake_openai.calls() == before + 1
