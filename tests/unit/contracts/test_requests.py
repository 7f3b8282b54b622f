"""The two shapes of a start, which come to the same request."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.runs.config import HitlConfig, Policy
from contracts.runs.requests import RunInput, RunRequest, WrappedRunInput

TOOL = {
    "name": "black-forest-labs/flux",
    "description": "draws",
    "example_input": {"steps": 4, "seed": 7},
    "latest_version": "v3",
}
INPUT: dict[str, Any] = {
    "prompt": "a red bicycle",
    "user_email": "ann@example.com",
    "user_id": "u1",
    "agent_email": "bot@example.com",
    "session_id": "s1",
    "message_type": "user_message",
    "agent_tool_config": {"replicate": {"data": TOOL}},
    "hitl_config": {"policy": "require_human"},
}


def test_the_second_shape_names_provider_and_model_by_its_tool() -> None:
    """API: the tool's name stands for the provider, its data for the model and the parameters."""
    request = WrappedRunInput.model_validate({"run_input": INPUT}).to_request()
    assert (request.provider, request.model) == ("replicate", "black-forest-labs/flux")
    assert request.parameters == {"steps": 4, "seed": 7}
    assert request.tool == TOOL
    assert (request.user_id, request.session_id, request.prompt) == ("u1", "s1", "a red bicycle")
    assert request.hitl_config.policy is Policy.REQUIRE_HUMAN


def test_who_asked_is_kept_as_labels() -> None:
    """Agent frameworks say who spoke; nothing of it is lost."""
    assert RunInput.model_validate(INPUT).to_request().labels == {
        "user_email": "ann@example.com",
        "agent_email": "bot@example.com",
        "message_type": "user_message",
    }


def test_the_outer_user_and_session_win() -> None:
    """API: both places are accepted; the one nearer to the caller counts."""
    wrapped = WrappedRunInput.model_validate({"run_input": INPUT, "user_id": "outer", "session_id": "other"})
    assert (wrapped.to_request().user_id, wrapped.to_request().session_id) == ("outer", "other")


def test_a_user_without_an_id_is_known_by_e_mail() -> None:
    """Otherwise nobody could be asked."""
    assert RunInput.model_validate({**INPUT, "user_id": None}).to_request().user_id == "ann@example.com"


def test_an_agent_without_a_tool_gets_the_defaults() -> None:
    """The smallest second shape is a prompt."""
    request = RunInput(prompt="hello").to_request()
    assert request == RunRequest(prompt="hello")
    assert (request.provider, request.model, request.tool) == ("sandbox", None, None)


def test_the_intent_is_the_request_without_who_and_how() -> None:
    """What a person sees at information review."""
    request = RunRequest(prompt="p", provider="openai", model="m", operation="text", parameters={"a": 1}, user_id="u1")
    assert request.intent().model_dump() == {
        "provider": "openai",
        "model": "m",
        "operation": "text",
        "prompt": "p",
        "parameters": {"a": 1},
        "attachments": (),
    }


@pytest.mark.parametrize(
    "member",
    [
        {"prompt": ""},
        {"prompt": None},
        {"provider": ""},
        {"attachments": ["file:///etc/passwd"]},
        {"attachments": ["artifact:sha256:abc"]},
        {"attachments": ["https://example.com/x"] * 33},
        {"callback_url": "javascript:alert(1)"},
        {"callback_url": "https://example.com/a b"},
        {"labels": {"a": "x" * 201}},
        {"labels": {str(number): "" for number in range(33)}},
        {"parameters": {"a": float("nan")}},
        {"user_id": "a\x00b"},
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_the_member(member: dict[str, Any]) -> None:
    """Bounds and forms stand in the contract, so that every door has the same."""
    with pytest.raises(ValidationError, match=next(iter(member))):
        RunRequest.model_validate({"prompt": "p", **member})


def test_rules_of_a_review_want_persons_to_look() -> None:
    """Without a policy they imply `require_human`; one that is named stays, and counts where a review is forced."""
    rules = {"approvals_required": 2}
    assert HitlConfig.model_validate({"review": rules}).policy is Policy.REQUIRE_HUMAN
    assert HitlConfig.model_validate({"reviews": {"payload_review": rules}}).policy is Policy.REQUIRE_HUMAN
    assert HitlConfig.model_validate({"review": rules, "policy": "auto"}).policy is Policy.AUTO
    assert HitlConfig.model_validate({}).policy is Policy.AUTO


def test_a_review_is_not_cut_off_before_the_times_of_its_rules() -> None:
    """Without a limit of its own it waits an hour longer than the last of them, a year at most; a limit that is named stays."""

    def limit(**config: object) -> float:
        return HitlConfig.model_validate(config).timeout_seconds

    assert limit(review={"due_seconds": 3600, "escalate_after_seconds": 2700}) == 3600
    assert limit(review={"due_seconds": 86_400}) == 90_000
    assert limit(review={}, reviews={"error_review": {"reminders_seconds": [60, 7200]}}) == 10_800
    assert limit(review={"due_seconds": 31_536_000}) == 31_536_000
    assert limit(review={"due_seconds": 86_400}, timeout_seconds=60) == 60
    stored = HitlConfig.model_validate({"review": {"due_seconds": 86_400}}).model_dump_json()
    assert HitlConfig.model_validate_json(stored).timeout_seconds == 90_000
