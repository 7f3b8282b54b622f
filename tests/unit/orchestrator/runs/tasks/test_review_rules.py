"""The rules of a review are checked when the run is started: what no person could meet, or no clock compute, is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.runs import events as e
from contracts.runs.commands import parse_command
from contracts.runs.config import HitlConfig
from contracts.runs.tasks.bodies import EscalateBody
from contracts.runs.tasks.rules import ReviewRules
from testkit.runs.commands import approve, at_payload_review, edit, prepared, reject, start
from testkit.runs.people import ANN
from testkit.runs.specification import Ask, given
from testkit.runs.tasks import by, reschedule, task_of, under

MANY = [f"p{number}" for number in range(10_000)]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"candidates": {"users": [""]}}, "candidates.users.0"),
        ({"candidates": {"groups": ["a\nb"]}}, "candidates.groups.0"),
        ({"candidates": {"users": MANY}}, "candidates.users"),
        (
            {"candidates": {"users": ["ann"]}, "approvals_required": 2},
            "/approvals_required: 2 must approve, and 1 candidate is named",
        ),
        (
            {"candidates": {"users": ["ann", "ann"]}, "approvals_required": 2},
            "/approvals_required: 2 must approve, and 1 candidate is named",
        ),
        ({"approvals_required": 0}, "approvals_required"),
        ({"approvals_required": 101}, "approvals_required"),
        ({"stages": [{"name": "a"}, {"name": "a"}]}, "two have the same name"),
        ({"stages": [{"name": ""}]}, "stages.0.name"),
        ({"stages": [{"name": str(number)} for number in range(11)]}, "stages"),
        (
            {"candidates": {"users": ["ann"]}, "stages": [{"name": "a", "approvals_required": 2}]},
            "/stages/0/approvals_required: 2 must approve, and 1 candidate is named",
        ),
        ({"on_reject": "ignore"}, "on_reject"),
        ({"claim": "always"}, "claim"),
        ({"lease_seconds": 86_400 * 365_000}, "lease_seconds"),
        ({"lease_seconds": 0.5}, "lease_seconds"),
        ({"priority": 101}, "priority"),
        ({"priority": -1}, "priority"),
        ({"reminders_seconds": [1.0] * 21}, "reminders_seconds"),
        ({"reminders_seconds": [-1]}, "reminders_seconds.0"),
        ({"follow_up_at": "9999-12-31T23:59:59-12:00"}, "follow_up_at"),
        ({"follow_up_at": "0001-01-01T00:00:00+14:00"}, "follow_up_at"),
        ({"follow_up_at": "2026-12-24T00:00:00"}, "follow_up_at"),
        ({"escalate_to": {}}, "escalate_to: it names no person and no group"),
        (
            {"approvals_required": 2, "escalate_to": {"users": ["cy", "cy"]}},
            "/escalate_to: it names 1 persons, and 2 must approve",
        ),
        (
            {"stages": [{"name": "a"}, {"name": "b", "approvals_required": 2}], "escalate_to": {"users": ["cy"]}},
            "/escalate_to: it names 1 persons, and 2 must approve",
        ),
        (
            {"candidates": {"users": ["ann"]}, "four_eyes": True, "stages": [{"name": "a"}, {"name": "b"}]},
            "/stages: four eyes need 2 persons, and 1 are named",
        ),
        (
            {
                "four_eyes": True,
                "stages": [
                    {"name": "a", "candidates": {"users": ["ann", "bo"]}},
                    {"name": "every", "candidates": {"groups": ["legal"]}},
                    {"name": "b", "candidates": {"users": ["ann", "bo"]}, "approvals_required": 2},
                    {"name": "wide", "candidates": {"users": ["cy", "di", "ed"]}},
                ],
            },
            "/stages: four eyes need 3 persons, and 2 are named",
        ),
        ({"reason_codes": [""]}, "reason_codes.0"),
        ({"candidates": {"users": ["\U0001f600" * 200] * 90}}, "these rules are"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rules: dict[str, Any], said: str) -> None:
    """The error names the member."""
    with pytest.raises(ValidationError) as refused:
        ReviewRules.model_validate(rules)
    assert said in str(refused.value)


def test_without_authentication_named_persons_are_told_by_the_actor() -> None:
    """It proves nothing, and keeps a mistake out. Where a group is asked, everyone may be one of it."""
    asked = start(
        review=ReviewRules.model_validate({"candidates": {"users": ["ann"]}}), allowed_steps=("payload_review",)
    )
    story = given(asked, prepared())
    story.when(approve(actor="bo")).refused_with("not_candidate")
    story.when(approve(actor="anonymous")).refused_with("not_candidate")
    assert story.when(approve(actor="ann")).refusal is None
    grouped = ReviewRules.model_validate({"candidates": {"users": ["ann"], "groups": ["legal"]}})
    anyone = given(start(review=grouped, allowed_steps=("payload_review",)), prepared())
    assert anyone.when(approve(actor="bo")).refusal is None


@pytest.mark.parametrize("member", ["review", "reviews"])
def test_the_rules_of_one_review_are_bounded(member: str) -> None:
    """In all, whichever members make them large; the error names the review."""
    stages = [
        {"name": str(number), "candidates": {"users": [f"{number}" + "\U0001f600" * 190]}} for number in range(10)
    ]
    large = {"stages": stages, "reason_codes": ["\U0001f600" * 190] * 90}
    config = {"review": large} if member == "review" else {"reviews": {"payload_review": large}}
    with pytest.raises(ValidationError, match="these rules are") as refused:
        HitlConfig.model_validate(config)
    assert refused.value.errors()[0]["loc"][0] == member


def test_those_whom_an_escalation_names_are_bounded() -> None:
    """They take the place of those of the rules."""
    with pytest.raises(ValidationError, match="these names are"):
        EscalateBody.model_validate({"to": {"groups": ["\U0001f600" * 200] * 90}})


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, -math.inf, 3.2e10])
@pytest.mark.parametrize("name", ["start_by_seconds", "due_seconds", "escalate_after_seconds", "lease_seconds"])
def test_a_duration_is_a_number_of_seconds_within_a_year(name: str, seconds: float) -> None:
    """Neither nothing, nor endless, nor a thousand years."""
    with pytest.raises(ValidationError, match=name):
        ReviewRules.model_validate({name: seconds})


def test_the_example_of_the_documentation_is_accepted() -> None:
    """As it stands there."""
    rules = {
        "candidates": {"users": ["ann"], "groups": ["legal"]},
        "approvals_required": 2,
        "on_reject": "veto",
        "four_eyes": True,
        "claim": "optional",
        "lease_seconds": 600,
        "priority": 50,
        "start_by_seconds": 900,
        "due_seconds": 3600,
        "follow_up_at": None,
        "reminders_seconds": [1800],
        "escalate_after_seconds": 2700,
        "escalate_to": {"users": [], "groups": ["leads"]},
        "stages": [
            {"name": "legal", "candidates": {"groups": ["legal"]}, "approvals_required": 1},
            {"name": "lead", "candidates": {"users": ["bo"]}},
        ],
    }
    assert task_of(under(rules)).stage == "legal"


def test_one_persons_stages_are_refused_under_four_eyes_alone() -> None:
    """Without them a person approves each; with them it takes as many persons as stages."""
    stages = [
        {"name": str(place), "candidates": {"users": [f"p{number}" for number in range(10)]}} for place in range(10)
    ]
    assert ReviewRules.model_validate({"four_eyes": True, "stages": stages})
    same = [{**stage, "candidates": {"users": ["ann"]}} for stage in stages]
    assert ReviewRules.model_validate({"stages": same})


def test_a_group_of_any_size_can_meet_any_count() -> None:
    """How many members it has is not known here."""
    assert ReviewRules.model_validate({"candidates": {"users": ["a"], "groups": ["g"]}, "approvals_required": 100})
    assert ReviewRules.model_validate({"approvals_required": 100, "escalate_to": {"groups": ["g"]}})


def test_a_rejection_gives_one_of_the_codes_that_the_rules_name() -> None:
    """Or none; without a list, any."""
    story = under({"reason_codes": ["tone", "facts"]})
    refused = story.when(by(ANN, reject(reason_code="mood"))).refused_with("validation_failed")
    assert [issue["path"] for issue in refused.details["issues"]] == ["/reason_code"]
    story.when(by(ANN, reject(reason_code="tone"))).leaves(last_approval__reason_code="tone")
    assert story.when(by(ANN, reject())).refusal is None
    at_payload_review().when(by(ANN, reject(reason_code="mood"))).leaves(last_approval__reason_code="mood")


@pytest.mark.parametrize("date", ["9999-12-31T23:59:59-12:00", "3000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_date_near_the_ends_of_the_calendar_is_no_command(date: str) -> None:
    """It could not be compared with others: the record is malformed and goes to the dead letters."""
    body = reschedule(priority=1).to(under({})).model_dump_json().encode()
    with pytest.raises(ValueError, match="follow_up_at"):
        parse_command(body.replace(b'"follow_up_at":null', f'"follow_up_at":"{date}"'.encode()))


@pytest.mark.parametrize("ask", [approve(), edit({"temperature": 1}), reject()], ids=["approve", "edit", "reject"])
def test_rules_change_no_right(ask: Ask) -> None:
    """A candidate by name who has not the role decides nothing."""
    requester = ANN.model_copy(update={"roles": ()})
    under({"candidates": {"users": ["ann"]}}).when(by(requester, ask)).refused_with("forbidden")


def test_the_checkpoint_says_its_rules() -> None:
    """A fold of the history knows the task without the request."""
    story = under({"approvals_required": 2, "priority": 7})
    opened = story.history[-1].data
    assert isinstance(opened, e.CheckpointOpened)
    assert opened.rules is not None
    assert (opened.rules.priority, opened.approvals_required) == (7, 2)
