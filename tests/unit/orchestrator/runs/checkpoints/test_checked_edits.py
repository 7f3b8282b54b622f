"""What a person edited is priced and checked again before it counts. A person sees what the check finds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from contracts.json_values import digest
from contracts.providers.orders import CheckOrder, ExecuteOrder
from contracts.providers.signals import Finding, Signals
from contracts.runs import events as e
from contracts.runs.config import Policy, Step
from testkit.runs.commands import (
    GOOD,
    PAYLOAD,
    RESPONSE,
    approve,
    at_information_review,
    at_payload_review,
    at_response_review,
    back_off_ends,
    cancel,
    checked,
    edit,
    executed,
    failed,
    issue,
    lease_ends,
    pause,
    prepared,
    resume,
    retry,
    start,
)
from testkit.runs.specification import Story, given, like

PII = Finding(check="pii", code="pii_found", message="Looks like personal data.", flags=("pii",), force=True)
FOUND = GOOD.changed({"findings": (PII,), "safety_flags": ("pii",)})
EDITED = {**PAYLOAD, "prompt": "a red bicycle for ann@example.org"}


def _edited(**hitl: Any) -> Story:
    return at_payload_review(**hitl).given(edit({"prompt": EDITED["prompt"]}))


def _order(story: Story) -> CheckOrder:
    (order,) = story.orders()
    assert isinstance(order, CheckOrder)
    return order


def test_an_edited_payload_is_checked_before_it_is_called() -> None:
    """The order has the edited bytes; the call follows when nothing is found."""
    story = _edited()
    order = _order(story)
    assert (order.payload, order.response, order.provider, order.model) == (EDITED, None, "sandbox", "echo")
    assert (story.now.view.state, story.now.view.checkpoint) == ("api_call", None)
    outcome = story.when(checked())
    outcome.then(
        like(e.SubjectChecked, step=Step.PAYLOAD_REVIEW, reasons=()), like(e.CallOrdered, payload_sha256=digest(EDITED))
    )


def test_what_the_check_finds_in_an_edit_goes_to_a_person() -> None:
    """The review opens again, with the finding alone as its reason, and shows the edited payload."""
    outcome = _edited().when(checked(signals=FOUND))
    outcome.then(e.SubjectChecked, like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW, reasons__code=("pii_found",)))
    outcome.leaves(state="payload_review", checkpoint__subject=EDITED)
    outcome.story.when(approve()).then(e.CheckpointApproved, like(e.CallOrdered, payload_sha256=digest(EDITED)))


def test_an_edit_that_keeps_what_was_found_goes_to_a_person() -> None:
    """The finding may be another one of the same kind: approving the very bytes lets them pass, an edit does not."""
    story = given(start(policy=Policy.AUTO), prepared(signals=FOUND), edit({"prompt": "rather for bob@example.org"}))
    outcome = story.when(checked(signals=FOUND))
    outcome.then(e.SubjectChecked, like(e.CheckpointOpened, reasons__code=("pii_found",)))
    outcome.story.when(approve()).then(e.CheckpointApproved, e.CallOrdered)


def test_an_edit_by_which_the_payload_gets_errors_goes_to_a_person() -> None:
    """A provider's own rules are looked at again, not only the schema; the issues are shown."""
    outcome = _edited().when(checked(issues=(issue(),)))
    opened = like(e.CheckpointOpened, reasons__code=("payload_invalid",), issues=(issue(),))
    outcome.then(e.SubjectChecked, opened)
    outcome.story.when(approve()).refused_with("validation_failed")
    mended = outcome.story.given(edit({"temperature": 0.1}))
    mended.when(checked()).then(e.SubjectChecked, e.CallOrdered)


@pytest.mark.parametrize(
    ("policy", "reasons"), [(Policy.AUTO_WITH_THRESHOLDS, ("safety_flagged",)), (Policy.REQUIRE_HUMAN, ())]
)
def test_a_flag_asks_again_where_the_policy_judges_flags(policy: Policy, reasons: tuple[str, ...]) -> None:
    """Under thresholds a flagged edit is asked about; under `require_human` the person who edited it has decided."""
    story = given(start(policy=policy, allowed_steps=("payload_review",)), prepared(signals=Signals()))
    outcome = story.given(edit({"prompt": "nude"})).when(checked(signals=GOOD.changed({"safety_flags": ("nsfw",)})))
    assert tuple(reason.code for reason in outcome.data(e.SubjectChecked).reasons) == reasons


def test_the_view_follows_an_edit() -> None:
    """Model and estimate are the edited call's: at once where the edit says so, and as the check finds them."""
    story = given(
        start(allowed_steps=("payload_review",)), prepared(payload={**PAYLOAD, "model": "echo"}, estimate="1")
    )
    assert (story.now.view.model, story.now.view.cost.estimated) == ("echo", Decimal(1))
    edited = story.given(edit({"model": "echo-large"}))
    assert (edited.now.view.model, edited.now.view.cost.estimated) == ("echo-large", None)
    priced = edited.given(checked(model="echo-large", estimate="7", currency="EUR"))
    cost = priced.now.view.cost
    assert (priced.now.view.model, cost.estimated, cost.currency) == ("echo-large", Decimal(7), "EUR")


def test_the_view_follows_an_edit_of_the_intent() -> None:
    """The next preparation is of another provider, so the first one's estimate means nothing any more."""
    story = at_information_review().given(edit({"provider": "openai", "model": None}))
    view = story.now.view
    assert (view.provider, view.model, view.cost.estimated) == ("openai", None, None)


def test_an_edited_model_is_called_without_another_review() -> None:
    """The person has seen the model in the bytes; the order names it."""
    story = given(start(allowed_steps=("payload_review",)), prepared(payload={**PAYLOAD, "model": "echo"}))
    outcome = story.given(edit({"model": "echo-large"})).when(checked(model="echo-large"))
    outcome.then(e.SubjectChecked, e.CallOrdered)
    (order,) = outcome.story.orders()
    assert isinstance(order, ExecuteOrder)
    assert order.model == "echo-large"


def test_an_approval_is_not_checked_again() -> None:
    """The bytes were checked before the review."""
    at_payload_review().when(approve()).then(e.CheckpointApproved, e.CallOrdered)


def _answered(*checks: str) -> Story:
    return given(start(allowed_steps=("response_review",)), prepared(), executed(checks=checks))


def test_an_edited_response_is_checked_where_the_response_was() -> None:
    """The result is not told before; the order has the edited response and what it answers."""
    outcome = _answered("pii").when(edit({"text": "Ask ann@example.org."}))
    outcome.then(e.CheckpointEdited, like(e.CheckOrdered, step=Step.RESPONSE_REVIEW))
    order = _order(outcome.story)
    assert (order.response, order.payload) == ({"text": "Ask ann@example.org."}, PAYLOAD)
    clean = outcome.story.when(checked())
    clean.then(e.SubjectChecked, like(e.RunCompleted, result={"text": "Ask ann@example.org."}))


def test_what_the_check_finds_in_an_edited_response_goes_to_a_person() -> None:
    """The review opens again and shows the edited response, with the finding."""
    outcome = _answered("pii").given(edit({"text": "Ask ann@example.org."})).when(checked(signals=FOUND))
    outcome.then(e.SubjectChecked, like(e.CheckpointOpened, step=Step.RESPONSE_REVIEW, reasons__code=("pii_found",)))
    outcome.leaves(state="response_review", checkpoint__subject={"text": "Ask ann@example.org."})
    assert outcome.story.now.view.checkpoint_context["signals"]["findings"][0]["check"] == "pii"
    outcome.story.when(edit({"text": "Ask Ann."})).then(e.CheckpointEdited, e.CheckOrdered)


def test_an_edited_response_is_the_result_at_once_where_no_check_looks_at_responses() -> None:
    """Nothing could be found, so nothing is waited for."""
    at_response_review().when(edit({"text": "ok"})).then(e.CheckpointEdited, e.RunCompleted)


def test_a_failed_check_is_tried_again_and_then_goes_to_a_person() -> None:
    """A worker that dies in the middle costs an attempt; the error review tries the check again, not the call."""
    story = _answered("pii").given(edit({"text": "ok"}), lease_ends())
    assert isinstance(story.history[-1].data, e.RetryScheduled)
    story = story.given(back_off_ends())
    assert _order(story).attempt == 2
    at_error = story.when(failed())
    at_error.then(e.CheckFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW, reasons__code=("check_failed",)))
    again = at_error.story.when(retry())
    again.then(e.RunRetried, like(e.CheckOrdered, step=Step.RESPONSE_REVIEW, attempt=1))
    again.story.when(checked()).then(e.SubjectChecked, like(e.RunCompleted, result={"text": "ok"}))


def test_the_review_of_a_failed_check_shows_the_edited_response() -> None:
    """What a person enters there is the result, so it starts from the edit and is held to the schema of the response."""
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    answered = given(
        start(allowed_steps=("response_review",)), prepared(), executed(checks=("pii",), response_schema=schema)
    )
    story = answered.given(edit({"text": "ok"}), failed())
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.subject, checkpoint.subject_schema) == (
        Step.ERROR_REVIEW,
        {"text": "ok"},
        schema,
    )
    story.when(edit({"text": 7})).refused_with("validation_failed")
    story.when(edit({"text": "fine"})).then(e.CheckpointEdited, like(e.RunCompleted, result={"text": "fine"}))


def test_a_failed_check_of_a_payload_is_tried_again_after_the_run_failed() -> None:
    """The edited payload is not called unchecked."""
    story = _edited(on_error="fail").given(failed())
    assert story.now.view.state == "failed"
    again = story.when(retry())
    again.then(e.RunRetried, like(e.CheckOrdered, step=Step.PAYLOAD_REVIEW))
    assert _order(again.story).payload == EDITED


def test_a_failed_check_of_a_response_is_tried_again_after_the_run_failed() -> None:
    """The answer is bought: the retry checks the edit, and calls nothing."""
    answered = given(start(allowed_steps=("response_review",), on_error="fail"), prepared(), executed(checks=("pii",)))
    story = answered.given(edit({"text": "ok"}), failed())
    assert story.now.view.state == "failed"
    again = story.when(retry())
    again.then(e.RunRetried, like(e.CheckOrdered, step=Step.RESPONSE_REVIEW))
    assert _order(again.story).response == {"text": "ok"}
    again.story.when(checked()).then(e.SubjectChecked, like(e.RunCompleted, result={"text": "ok"}))


def test_a_run_that_ends_while_its_edit_is_checked_takes_no_answer() -> None:
    """The check comes too late and changes nothing."""
    _edited().given(cancel()).when(checked()).refused_with("not_allowed")


def test_a_pause_during_a_check_holds_the_call() -> None:
    """The answer counts; the call is ordered when the run goes on."""
    story = _edited().given(pause())
    outcome = story.when(checked())
    outcome.then(e.SubjectChecked)
    outcome.story.when(resume()).then(e.RunResumed, e.CallOrdered)


def test_a_retry_after_an_edited_call_failed_checks_nothing_twice() -> None:
    """The edit was checked; the retry calls with the same bytes."""
    story = _edited().given(checked(), failed())
    story.when(retry()).then(e.RunRetried, like(e.CallOrdered, payload_sha256=digest(EDITED)))


def test_the_response_stays_the_answer_that_was_bought() -> None:
    """An edit that is being checked does not touch what the provider said."""
    story = _answered("pii").given(edit({"text": "ok"}))
    assert story.now.execution is not None
    assert story.now.execution.response == RESPONSE
