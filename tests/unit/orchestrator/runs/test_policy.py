"""The policies: which step a person reviews, and for which reasons. First the table of the pure `review`, then whole runs."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import pytest

from contracts.providers.signals import Signals
from contracts.runs import events as e
from contracts.runs.config import HitlConfig, OnError, Policy, ReviewStep, ReviewThresholds, Step
from orchestrator.runs import Pass, Pause, review
from testkit.runs.commands import GOOD, approve, executed, issue, prepared, start
from testkit.runs.specification import Story, given, like

REVIEWS = (Step.INFORMATION_REVIEW, Step.PAYLOAD_REVIEW, Step.RESPONSE_REVIEW)
SUBSETS = list(chain.from_iterable(combinations(REVIEWS, size) for size in range(4)))
BOUNDS = ReviewThresholds(
    confidence_min=0.8, safety_flags=("nsfw", "pii"), payload_changes_max=3, response_quality_min=0.7
)


def _codes(verdict: Pause | Pass) -> list[str]:
    return [reason.code for reason in verdict.reasons]


def _thresholds(step: Step, *, invalid: bool = False, **signals: Any) -> Pause | Pass:
    config = HitlConfig(policy=Policy.AUTO_WITH_THRESHOLDS, review_thresholds=BOUNDS)
    return review(step, GOOD.model_copy(update=signals), config, invalid=invalid)


@pytest.mark.parametrize("step", REVIEWS)
def test_auto_lets_everything_pass_and_says_so(step: Step) -> None:
    """Every signal passes, and the event says why."""
    verdict = review(step, Signals(safety_flags=("nsfw",)), HitlConfig(policy=Policy.AUTO), invalid=True)
    assert isinstance(verdict, Pass)
    assert (_codes(verdict), verdict.silent) == (["policy_auto"], False)


@pytest.mark.parametrize("step", REVIEWS)
def test_require_human_asks_at_every_step(step: Step) -> None:
    """Every signal pauses the run."""
    verdict = review(step, GOOD, HitlConfig(policy=Policy.REQUIRE_HUMAN))
    assert isinstance(verdict, Pause)
    assert _codes(verdict) == ["policy_requires_human"]


@pytest.mark.parametrize("step", REVIEWS)
def test_thresholds_let_pass_what_is_within_them(step: Step) -> None:
    """The event says why the step passed."""
    verdict = _thresholds(step)
    assert isinstance(verdict, Pass)
    assert (_codes(verdict), verdict.silent) == (["within_thresholds"], False)


@pytest.mark.parametrize("step", REVIEWS)
@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ({"confidence": 0.79}, "confidence_below_min"),
        ({"confidence": 0.8}, None),
        ({"confidence": 0.81}, None),
        ({"confidence": 0.0}, "confidence_below_min"),
        ({"confidence": None}, "confidence_not_measured"),
        ({"safety_flags": ("pii",)}, "safety_flagged"),
        ({"safety_flags": ("harmless",)}, None),
        ({"safety_flags": ()}, None),
    ],
)
def test_confidence_and_safety_count_at_every_step(step: Step, signals: dict[str, Any], code: str | None) -> None:
    """Below the bound a person reviews, at and above it not; an unmeasured signal counts as below."""
    verdict = _thresholds(step, **signals)
    assert isinstance(verdict, Pause) is (code is not None)
    assert _codes(verdict) == [code or "within_thresholds"]


@pytest.mark.parametrize("step", REVIEWS)
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (0, None),
        (2, None),
        (3, None),
        (4, "payload_changes_above_max"),
        (None, "payload_changes_not_measured"),
    ],
)
def test_payload_changes_count_at_payload_review(step: Step, changes: int | None, code: str | None) -> None:
    """Above the bound a person reviews, at and below it not; other steps have no payload."""
    expected = code if step is Step.PAYLOAD_REVIEW else None
    assert _codes(_thresholds(step, payload_changes=changes)) == [expected or "within_thresholds"]


@pytest.mark.parametrize("step", REVIEWS)
@pytest.mark.parametrize(
    ("quality", "code"),
    [
        (0.69, "response_quality_below_min"),
        (0.7, None),
        (0.71, None),
        (None, "response_quality_not_measured"),
    ],
)
def test_response_quality_counts_at_response_review(step: Step, quality: float | None, code: str | None) -> None:
    """Before the call there is no response."""
    expected = code if step is Step.RESPONSE_REVIEW else None
    assert _codes(_thresholds(step, response_quality=quality)) == [expected or "within_thresholds"]


def test_every_threshold_that_is_crossed_is_named() -> None:
    """The person sees all the reasons, not the first; flags are named once, in order."""
    verdict = _thresholds(
        Step.PAYLOAD_REVIEW, invalid=True, confidence=0.1, safety_flags=("pii", "nsfw", "pii", "odd"), payload_changes=9
    )
    assert _codes(verdict) == ["payload_invalid", "confidence_below_min", "safety_flagged", "payload_changes_above_max"]
    assert verdict.reasons[2].message == "flagged as nsfw, pii"


def test_bounds_at_their_ends_still_bound() -> None:
    """Zero lets everything measured pass; no flags to look for finds none."""
    bounds = ReviewThresholds(confidence_min=0, safety_flags=(), payload_changes_max=0, response_quality_min=0)
    config = HitlConfig(policy=Policy.AUTO_WITH_THRESHOLDS, review_thresholds=bounds)
    worst = Signals(confidence=0, safety_flags=("nsfw",), payload_changes=0, response_quality=0)
    assert all(isinstance(review(step, worst, config), Pass) for step in REVIEWS)
    one_change = worst.model_copy(update={"payload_changes": 1})
    assert isinstance(review(Step.PAYLOAD_REVIEW, one_change, config), Pause)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("allowed", SUBSETS, ids=lambda steps: "+".join(step.value for step in steps) or "all")
def test_allowed_steps_switch_reviews_on_and_off(policy: Policy, allowed: tuple[Step, ...]) -> None:
    """A step that is not among them passes without an event; an empty list means every step."""
    config = HitlConfig(policy=policy, allowed_steps=tuple(ReviewStep(step.value) for step in allowed))
    for step in REVIEWS:
        verdict = review(step, Signals(), config)
        if allowed and step not in allowed:
            assert isinstance(verdict, Pass)
            assert (verdict.silent, _codes(verdict)) == (True, ["step_not_allowed"])
        else:
            assert isinstance(verdict, Pass) is (policy is Policy.AUTO)


# ---- runs under the policies


@pytest.mark.parametrize("allowed", SUBSETS, ids=lambda steps: "+".join(step.value for step in steps) or "all")
def test_require_human_stops_a_run_exactly_at_the_allowed_steps(allowed: tuple[Step, ...]) -> None:
    """Reviews come in the order of the stages, whatever order the configuration has."""
    story = given(start(allowed_steps=tuple(reversed(allowed))))
    assert _stops(story) == list(allowed or REVIEWS)


def test_auto_stops_nowhere_and_records_each_step_it_passed() -> None:
    """The history says step by step that policy let the run pass."""
    story = given(start(policy="auto"))
    assert _stops(story) == []
    first = story.when(prepared())
    step = [
        like(e.StepPassed, step=step, reasons__code=("policy_auto",))
        for step in (Step.INFORMATION_REVIEW, Step.PAYLOAD_REVIEW)
    ]
    first.then(e.RunPrepared, *step, e.CallOrdered)
    second = first.story.when(executed())
    second.then(e.CallSucceeded, like(e.StepPassed, step=Step.RESPONSE_REVIEW), e.RunCompleted)


def test_thresholds_stop_a_run_only_where_one_is_crossed() -> None:
    """A doubtful response is shown although its payload passed."""
    story = given(start(policy="auto_with_thresholds"), prepared())
    outcome = story.when(executed(signals=Signals(confidence=0.9, response_quality=0.1)))
    opened = like(e.CheckpointOpened, step=Step.RESPONSE_REVIEW, reasons__code=("response_quality_below_min",))
    outcome.then(e.CallSucceeded, opened)


def test_thresholds_show_a_payload_with_errors_to_a_person() -> None:
    """An error crosses a threshold, also if it could be fixed automatically."""
    for fixable in (False, True):
        wrong = issue(auto_fixable=fixable, suggested_fix={"temperature": 2})
        outcome = given(start(policy="auto_with_thresholds")).when(prepared(issues=(wrong,)))
        opened = like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW, reasons__code=("payload_invalid",))
        outcome.then(e.RunPrepared, e.StepPassed, opened)


def test_an_unmeasured_signal_stops_a_run_at_its_first_step() -> None:
    """An unmeasured signal is not known to be good."""
    outcome = given(start(policy="auto_with_thresholds")).when(prepared(signals=Signals()))
    opened = like(e.CheckpointOpened, step=Step.INFORMATION_REVIEW, reasons__code=("confidence_not_measured",))
    outcome.then(e.RunPrepared, opened)


def test_a_run_that_chose_nothing_is_automatic() -> None:
    """`policy` is `auto`, `timeout_seconds` an hour, thresholds as the API documents them."""
    config = HitlConfig()
    assert (config.policy, config.timeout_seconds, config.allowed_steps) == (Policy.AUTO, 3600, ())
    assert (config.max_attempts, config.lease_seconds) == (3, 60)
    assert config.review_thresholds == ReviewThresholds(
        confidence_min=0.8,
        safety_flags=("nsfw", "pii", "copyright"),
        payload_changes_max=3,
        response_quality_min=0.7,
    )
    assert [HitlConfig(policy=policy).errors_go_to() for policy in Policy] == [
        OnError.FAIL,
        OnError.REVIEW,
        OnError.REVIEW,
    ]


def _stops(story: Story) -> list[Step]:
    """Carry a run to its end and return where it stopped."""
    stops = []
    while not story.now.view.is_over:
        if story.now.view.checkpoint is not None:
            stops.append(story.now.view.checkpoint.step)
            story = story.given(approve())
        else:
            story = story.given(prepared() if story.attempt.kind.value == "prepare" else executed())
    return stops
