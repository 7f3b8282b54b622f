"""Automatic fixes: without a review policy applies them, and the run fails with the issues that remain."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.json_values import digest
from contracts.providers.call import Severity
from contracts.providers.orders import ExecuteOrder
from contracts.runs import events as e
from contracts.runs.config import Step
from testkit.runs.commands import PAYLOAD, issue, prepared, retry, start
from testkit.runs.specification import given, like

FIX = issue(auto_fixable=True, suggested_fix={"temperature": 2})
FIXED = {**PAYLOAD, "temperature": 2}


@pytest.mark.parametrize("hitl", [{"policy": "auto"}, {"allowed_steps": ("response_review",)}])
def test_what_can_be_fixed_is_fixed_and_called(hitl: dict[str, Any]) -> None:
    """Under `auto`, and wherever payload review is switched off; the diff is kept."""
    outcome = given(start(**hitl)).when(prepared(issues=(FIX,)))
    fixed = outcome.data(e.PayloadFixed)
    assert (fixed.payload, fixed.payload_sha256) == (FIXED, digest(FIXED))
    assert [(change.path, change.before, change.after) for change in fixed.diff] == [("/temperature", 0.5, 2)]
    (order,) = outcome.story.orders()
    assert isinstance(order, ExecuteOrder)
    assert order.payload == FIXED


def test_fixes_apply_one_after_the_other() -> None:
    """Each fix is a merge patch on the payload; null removes a member."""
    more = issue(code="tags", auto_fixable=True, suggested_fix={"tags": None, "size": {"w": 3}})
    outcome = given(start(policy="auto")).when(prepared(issues=(FIX, more)))
    assert outcome.data(e.PayloadFixed).payload == {
        "prompt": "a red bicycle",
        "temperature": 2,
        "size": {"w": 3, "h": 2},
    }


def test_warnings_are_fixed_too() -> None:
    """A fix needs no judgement, so a warning's fix is applied too."""
    warning = FIX.model_copy(update={"severity": Severity.WARNING})
    given(start(policy="auto")).when(prepared(issues=(warning,))).then(
        e.RunPrepared, e.StepPassed, e.PayloadFixed, e.StepPassed, e.CallOrdered
    )


def test_a_warning_without_a_fix_stops_nothing() -> None:
    """Only errors stop a call."""
    outcome = given(start(policy="auto")).when(prepared(issues=(issue(severity=Severity.WARNING),)))
    outcome.then(e.RunPrepared, e.StepPassed, e.StepPassed, e.CallOrdered)


def test_the_rest_fails_the_run_with_the_issues_in_the_error() -> None:
    """The fixed issues are not among them."""
    rest = issue(code="no_prompt", path="/prompt", message="say something")
    outcome = given(start(policy="auto")).when(prepared(issues=(FIX, rest)))
    outcome.then(
        e.RunPrepared,
        e.StepPassed,
        e.PayloadFixed,
        like(e.RunFailed, error__code="validation_failed", error__step=Step.PAYLOAD_REVIEW, error__issues=(rest,)),
    )
    outcome.leaves(state="failed", pending_actions=("retry",))
    assert outcome.story.now.view.error is not None
    assert outcome.story.now.view.error.message == "the payload does not validate: /prompt: say something"


@pytest.mark.parametrize("others", [(), (FIX,)])
def test_an_error_that_is_called_fixable_without_a_fix_is_not_fixed(others: tuple[object, ...]) -> None:
    """An issue that promises a fix and has none stays an error, also beside other fixes."""
    promised = issue(code="promised", auto_fixable=True, suggested_fix=None)
    outcome = given(start(policy="auto")).when(prepared(issues=(*others, promised)))
    assert outcome.data(e.RunFailed).error.issues == (promised,)


def test_a_fix_that_does_not_validate_fails_the_run() -> None:
    """The fixed payload is validated again."""
    wrong = issue(auto_fixable=True, suggested_fix={"temperature": 3})
    outcome = given(start(policy="auto")).when(prepared(issues=(wrong,)))
    failed = outcome.data(e.RunFailed)
    assert [found.path for found in failed.error.issues] == ["/temperature"]


def test_a_payload_that_breaks_its_own_schema_is_not_called() -> None:
    """It fails validation although the provider named no issue."""
    outcome = given(start(policy="auto")).when(prepared(payload={"temperature": 1}))
    outcome.then(e.RunPrepared, e.StepPassed, like(e.RunFailed, error__code="validation_failed"))


def test_a_retry_prepares_again() -> None:
    """An attachment or a key may be there by now, so the worker prepares anew."""
    story = given(start(policy="auto"), prepared(issues=(issue(),)), retry())
    story.when(prepared()).then(e.RunPrepared, e.StepPassed, e.StepPassed, e.CallOrdered)
