"""Forced findings: they stop their step once, under every configuration, and only a person lets the run go on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as whatever
from hypothesis import strategies as st

from contracts.providers.orders import ExecuteOrder, PrepareOrder
from contracts.providers.signals import Finding, Signals
from contracts.runs import events as e
from contracts.runs.config import HitlConfig, OnError, OnTimeout, Policy, ReviewStep, Step
from orchestrator.runs import Pass, Pause, review
from testkit.messages import strategies
from testkit.runs.commands import (
    GOOD,
    PAYLOAD,
    approve,
    checked,
    edit,
    executed,
    failed,
    prepared,
    reject,
    retry,
    start,
    time_is_up,
)
from testkit.runs.specification import Story, given, like

FORCED = Finding(check="pii", code="pii_found", message="a card number", flags=("pii",), force=True)
MENTIONED = Finding(check="pii", code="pii_found", message="a card number", flags=("pii",))
OVER = Finding(check="cost", code="budget_exceeded", message="$0.01 of $1 is left", force=True)
CHECKED = (Step.PAYLOAD_REVIEW, Step.RESPONSE_REVIEW)


def _with(*findings: Finding) -> Signals:
    flags = tuple(flag for finding in findings for flag in finding.flags)
    return GOOD.model_copy(update={"findings": findings, "safety_flags": flags})


def _codes(verdict: Pause | Pass) -> list[str]:
    return [reason.code for reason in verdict.reasons]


def _forced_at(step: Step, **hitl: Any) -> Story:
    """Return a run that a check stopped at `step`, although its policy lets the step pass."""
    asked = start(**{"policy": Policy.AUTO, **hitl})
    if step is Step.PAYLOAD_REVIEW:
        return given(asked, prepared(signals=_with(FORCED)))
    return given(asked, prepared(), executed(signals=_with(FORCED)))


@pytest.mark.parametrize("step", CHECKED)
@whatever(config=strategies.configs, signals=strategies.signals, invalid=st.booleans())
def test_a_forced_finding_stops_its_step_whatever_the_run_configured(
    step: Step, config: HitlConfig, signals: Signals, *, invalid: bool
) -> None:
    """No policy, threshold or list of steps switches off an operator's check; its reason comes first."""
    found = signals.model_copy(update={"findings": (MENTIONED, FORCED)})
    verdict = review(step, found, config, invalid=invalid)
    assert isinstance(verdict, Pause)
    assert (_codes(verdict)[0], verdict.reasons[0].message) == ("pii_found", "a card number")
    without = review(step, signals.model_copy(update={"findings": ()}), config, invalid=invalid)
    assert verdict.reasons[1:] == (without.reasons if isinstance(without, Pause) else ())


@whatever(config=strategies.configs, signals=strategies.signals)
def test_a_finding_about_a_payload_does_not_stop_what_comes_before_it(config: HitlConfig, signals: Signals) -> None:
    """The information review is about the intent, and stays as it would be without the finding."""
    found = signals.model_copy(update={"findings": (FORCED,)})
    assert review(Step.INFORMATION_REVIEW, found, config) == review(Step.INFORMATION_REVIEW, signals, config)


@pytest.mark.parametrize("step", CHECKED)
@pytest.mark.parametrize(
    ("policy", "codes"),
    [
        (Policy.AUTO, ["policy_auto"]),
        (Policy.REQUIRE_HUMAN, ["policy_requires_human"]),
        (Policy.AUTO_WITH_THRESHOLDS, ["safety_flagged"]),
    ],
)
def test_a_finding_that_does_not_force_is_judged_by_the_policy(step: Step, policy: Policy, codes: list[str]) -> None:
    """Its flags count like any other signal."""
    assert _codes(review(step, _with(MENTIONED), HitlConfig(policy=policy))) == codes


@pytest.mark.parametrize("step", CHECKED)
def test_an_approval_lets_the_run_go_on(step: Step) -> None:
    """One finding stops the run once."""
    story = _forced_at(step)
    outcome = story.when(approve())
    outcome.then(e.CheckpointApproved, e.CallOrdered if step is Step.PAYLOAD_REVIEW else e.RunCompleted)
    assert [data for data in (record.data for record in story.history) if isinstance(data, e.CheckpointOpened)] == [
        like(e.CheckpointOpened, step=step, reasons__code=("pii_found",))
    ]


@pytest.mark.parametrize("step", CHECKED)
def test_an_edit_by_a_person_approves_the_edited_subject(step: Step) -> None:
    """There is no second stop, unless a check finds something in the edited subject too."""
    edits = {"temperature": 1} if step is Step.PAYLOAD_REVIEW else {"text": "It is ****."}
    outcome = _forced_at(step).when(edit(edits))
    if step is Step.RESPONSE_REVIEW:
        outcome.then(e.CheckpointEdited, e.RunCompleted)
    else:
        outcome.then(e.CheckpointEdited, e.CheckOrdered)
        outcome.story.when(checked()).then(like(e.SubjectChecked, reasons=()), e.CallOrdered)


@pytest.mark.parametrize("step", CHECKED)
def test_silence_does_not_approve_what_a_check_forced(step: Step) -> None:
    """Approval by timeout would otherwise switch the check off."""
    story = _forced_at(step, on_timeout=OnTimeout.APPROVE)
    story.when(time_is_up()).then(e.CheckpointExpired, like(e.RunFailed, error__code="checkpoint_timeout"))


@pytest.mark.parametrize("step", CHECKED)
def test_silence_approves_what_a_check_only_mentioned(step: Step) -> None:
    """The run's own policy asked, so the run's own configuration may answer."""
    asked = start(allowed_steps=(ReviewStep(step.value),), on_timeout=OnTimeout.APPROVE)
    facts = {"signals": _with(MENTIONED)}
    story = given(asked, prepared(**facts))
    if step is Step.RESPONSE_REVIEW:
        story = story.given(executed(**facts))
    story.when(time_is_up()).then(
        e.CheckpointApproved, e.CallOrdered if step is Step.PAYLOAD_REVIEW else e.RunCompleted
    )


def test_a_payload_that_is_prepared_anew_is_checked_anew() -> None:
    """An approval is for the payload that was shown; a new payload is checked and reviewed again."""
    story = _forced_at(Step.PAYLOAD_REVIEW).given(reject(reason="no"), retry())
    story.when(prepared(signals=_with(FORCED))).then(
        e.RunPrepared, e.StepPassed, like(e.CheckpointOpened, reasons__code=("pii_found",))
    )
    story.when(prepared()).then(e.RunPrepared, e.StepPassed, e.StepPassed, e.CallOrdered)


def test_a_person_may_enter_the_result_where_a_stopped_payload_could_not_be_made_again() -> None:
    """The stopped payload no longer exists, and a person ends the run."""
    story = _forced_at(Step.PAYLOAD_REVIEW, on_error=OnError.REVIEW).given(reject(reason="no"), retry())
    outcome = story.when(failed(retryable=False))
    outcome.then(e.PreparationFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))
    outcome.story.when(edit({"text": "by hand"})).then(e.CheckpointEdited, e.RunCompleted)


def test_a_response_that_comes_of_another_call_is_checked_anew() -> None:
    """The approval of the payload stays; the approval of the response does not."""
    story = _forced_at(Step.RESPONSE_REVIEW).given(reject(reason="no"), retry())
    story.when(executed(signals=_with(FORCED))).then(
        e.CallSucceeded, like(e.CheckpointOpened, step=Step.RESPONSE_REVIEW)
    )


def test_orders_carry_what_the_run_asks_of_checks_and_budgets() -> None:
    """The worker learns whose budget counts, the run's own checks, and the run's own budget."""
    asked = start(policy=Policy.AUTO, checks=("secrets",), budget=Decimal("0.5"))
    story = given(asked, prepared())
    orders = story.orders()
    for order in (*given(asked).orders(), *orders):
        assert (order.user_id, order.checks, order.budget) == ("u1", ("secrets",), Decimal("0.5"))
    assert [type(order) for order in (*given(asked).orders(), *orders)] == [PrepareOrder, ExecuteOrder]


@pytest.mark.parametrize(
    ("findings", "policy", "approved"),
    [
        ((OVER,), Policy.AUTO, True),
        ((FORCED,), Policy.AUTO, False),
        ((), Policy.REQUIRE_HUMAN, False),
    ],
)
def test_a_call_says_whether_a_person_approved_it_over_budget(
    findings: tuple[Finding, ...], policy: Policy, *, approved: bool
) -> None:
    """Only a person who saw that the budget is short has approved the excess."""
    asked = start(policy=policy, allowed_steps=("payload_review",))
    (order,) = given(asked, prepared(signals=_with(*findings)), approve()).orders()
    assert isinstance(order, ExecuteOrder)
    assert (order.over_budget_approved, order.payload) == (approved, PAYLOAD)


def test_a_call_that_is_tried_again_is_still_approved_over_budget() -> None:
    """The approval is for these bytes, however often they are sent."""
    story = given(start(policy=Policy.AUTO, on_error="review"), prepared(signals=_with(OVER)), approve(), failed())
    (order,) = story.given(retry()).orders()
    assert isinstance(order, ExecuteOrder)
    assert order.over_budget_approved
