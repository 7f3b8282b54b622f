"""Payload review: a person sees the exact payload, its issues and its cost, and the approved payload is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from contracts.json_values import digest
from contracts.providers.call import Severity
from contracts.providers.orders import ExecuteOrder
from contracts.providers.signals import Signals
from contracts.runs import events as e
from contracts.runs.config import Step
from testkit.runs.commands import (
    GOOD,
    PAYLOAD,
    PAYLOAD_SCHEMA,
    approve,
    at_payload_review,
    checked,
    edit,
    issue,
    prepared,
    reject,
    retry,
    start,
)
from testkit.runs.specification import Story, given, like


def _with_issues(*issues: object, **hitl: Any) -> Story:
    return given(start(allowed_steps=("payload_review",), **hitl), prepared(issues=issues))


def test_a_person_sees_the_exact_payload_its_schema_and_its_digest() -> None:
    """The subject is the payload and nothing else."""
    view = at_payload_review().now.view
    assert view.checkpoint is not None
    assert (view.checkpoint.subject, view.checkpoint.subject_schema) == (PAYLOAD, PAYLOAD_SCHEMA)
    assert view.checkpoint.subject_sha256 == digest(PAYLOAD)


def test_a_person_sees_issues_cost_and_signals() -> None:
    """The context holds what the provider reported about the payload."""
    warning = issue(severity=Severity.WARNING)
    outcome = given(start(allowed_steps=("payload_review",))).when(
        prepared(issues=(warning,), estimate=Decimal("0.0100"), currency="EUR", signals=Signals(confidence=0.5))
    )
    outcome.leaves(checkpoint__issues=(warning,), cost__estimated=Decimal("0.0100"), cost__currency="EUR")
    context = outcome.story.now.view.checkpoint_context
    assert (context["estimated_cost"], context["currency"]) == ("0.0100", "EUR")
    assert (context["provider"], context["model"], context["operation"]) == ("sandbox", "echo", "text")
    assert context["signals"]["confidence"] == 0.5


def test_an_approval_orders_the_call_with_the_approved_bytes() -> None:
    """The order carries the payload, its digest, the provider and the model."""
    story = at_payload_review()
    outcome = story.when(approve(comment="fine"))
    outcome.then(
        like(e.CheckpointApproved, step=Step.PAYLOAD_REVIEW, subject_sha256=digest(PAYLOAD), comment="fine"),
        like(e.CallOrdered, payload_sha256=digest(PAYLOAD), attempt=1),
    )
    outcome.leaves(state="api_call", checkpoint=None, checkpoint_context={}, pending_actions=())
    (order,) = outcome.story.orders(since=story.now.version)
    assert isinstance(order, ExecuteOrder)
    assert (order.provider, order.model, order.operation) == ("sandbox", "echo", "text")
    assert (order.payload, order.payload_sha256) == (PAYLOAD, digest(PAYLOAD))


def test_an_edit_is_merged_and_the_result_is_what_is_called() -> None:
    """RFC 7396: null removes, an array replaces an array, an object merges, and the digest is the result's."""
    edits = {"temperature": 1, "tags": ["c"], "size": {"w": None, "d": {"x": 1, "y": None}}}
    after = {"prompt": "a red bicycle", "temperature": 1, "tags": ["c"], "size": {"h": 2, "d": {"x": 1}}}
    outcome = at_payload_review().when(edit(edits))
    outcome.then(like(e.CheckpointEdited, edits=edits, subject=after, subject_sha256=digest(after)), e.CheckOrdered)
    outcome = outcome.story.when(checked())
    outcome.then(e.SubjectChecked, like(e.CallOrdered, payload_sha256=digest(after)))
    (order,) = outcome.story.orders()
    assert isinstance(order, ExecuteOrder)
    assert order.payload == after


def test_an_edit_keeps_its_diff() -> None:
    """The diff names each changed member, with its value before and after."""
    story = at_payload_review()
    outcome = story.when(edit({"temperature": 1, "tags": None, "size": {"w": None, "d": 3}}))
    changes = {change.path: (change.before, change.after) for change in outcome.data(e.CheckpointEdited).diff}
    assert changes == {
        "/size/d": (None, 3),
        "/size/w": (1, None),
        "/tags": (["a", "b"], None),
        "/temperature": (0.5, 1),
    }
    approval = outcome.story.now.view.last_approval
    assert approval is not None
    assert (approval.action, approval.actor) == ("edit", "ann")
    assert approval.diff == outcome.data(e.CheckpointEdited).diff


def test_a_diff_tells_true_from_one_inside_an_array_too() -> None:
    """Python holds them equal, but their bytes differ."""
    story = given(start(allowed_steps=("payload_review",)), prepared(payload={"prompt": "p", "flags": [1]}))
    edited = story.when(edit({"flags": [True]})).data(e.CheckpointEdited)
    assert edited.subject_sha256 != digest({"prompt": "p", "flags": [1]})
    assert [change.path for change in edited.diff] == ["/flags"]


def test_an_edit_that_does_not_validate_is_refused_with_its_issues() -> None:
    """422, each issue with its place; nothing is recorded and the checkpoint still waits."""
    outcome = at_payload_review().when(edit({"temperature": 9, "prompt": 3}))
    outcome.refused_with("validation_failed")
    assert {found["path"] for found in outcome.details["issues"]} == {"/temperature", "/prompt"}
    outcome.leaves(state="payload_review", version=3)


def test_an_edit_that_removes_what_is_required_is_refused() -> None:
    """Null removes a member, and a payload without its prompt does not validate."""
    at_payload_review().when(edit({"prompt": None})).refused_with("validation_failed")


def test_an_issue_is_told_in_a_sentence_however_long_the_value() -> None:
    """A refusal must fit a record, so it does not repeat the whole value."""
    outcome = at_payload_review().when(edit({"temperature": "x" * 200_000}))
    outcome.refused_with("validation_failed")
    assert outcome.refusal is not None
    assert len(str(outcome.details)) < 2_000
    assert len(outcome.refusal.message) < 1_000


def test_a_payload_with_errors_cannot_be_approved_as_it_is() -> None:
    """An error stops the call until a person corrects it."""
    story = _with_issues(issue())
    story.when(approve()).refused_with("validation_failed", issues=[issue().model_dump(mode="json")])


def test_an_edit_that_changes_nothing_mends_nothing() -> None:
    """An edit is validated again, and the same bytes have the same errors."""
    story = _with_issues(issue())
    story.when(edit({})).refused_with("validation_failed", issues=[issue().model_dump(mode="json")])
    story.when(edit({"temperature": 0.5})).refused_with("validation_failed")


def test_a_payload_with_errors_is_called_once_it_is_mended() -> None:
    """The person's edit replaces the payload and its issues."""
    outcome = _with_issues(issue()).when(edit({"temperature": 0.1}))
    outcome.then(e.CheckpointEdited, e.CheckOrdered)
    outcome.story.when(checked()).then(e.SubjectChecked, e.CallOrdered)


def test_a_payload_with_warnings_can_be_approved() -> None:
    """A warning informs; only an error stops."""
    _with_issues(issue(severity=Severity.WARNING)).when(approve()).then(e.CheckpointApproved, e.CallOrdered)


def test_nothing_is_mended_behind_a_persons_back() -> None:
    """At a payload review an automatic fix is shown, not applied."""
    fixable = issue(auto_fixable=True, suggested_fix={"temperature": 2}, severity=Severity.WARNING)
    outcome = given(start(allowed_steps=("payload_review",))).when(prepared(issues=(fixable,)))
    outcome.then(e.RunPrepared, like(e.CheckpointOpened, subject=PAYLOAD, issues=(fixable,)))


def test_a_rejection_fails_the_run_and_no_call_is_made() -> None:
    """The error's message is the reason, else the comment, else the person who rejected."""
    for said, message in (({"reason": "r", "comment": "c"}, "r"), ({"comment": "c"}, "c"), ({}, "ann rejected it")):
        outcome = at_payload_review().when(reject(**said))
        outcome.then(e.CheckpointRejected, like(e.RunCancelled, error__code="rejected", error__message=message))
        assert outcome.story.orders() == []


def test_a_rejection_keeps_its_reason_and_its_code() -> None:
    """In the event and in the view; programs count by the code."""
    outcome = at_payload_review().when(reject(reason="wrong colours", reason_code="off_brand"))
    outcome.then(like(e.CheckpointRejected, reason_code="off_brand"), e.RunCancelled)
    approval = outcome.story.now.view.last_approval
    assert approval is not None
    assert (approval.reason, approval.reason_code) == ("wrong colours", "off_brand")


def test_a_retry_after_a_rejection_prepares_again() -> None:
    """A retry does not send the rejected payload."""
    outcome = at_payload_review().given(reject()).when(retry())
    outcome.then(e.RunRetried, e.PreparationOrdered).leaves(state="created", error=None)


def test_the_estimate_is_kept_while_the_run_goes_on() -> None:
    """The view shows the estimate until the cost is known."""
    story = given(start(allowed_steps=("payload_review",)), prepared(estimate=Decimal("0.02"), signals=GOOD), approve())
    assert story.now.view.cost.estimated == Decimal("0.02")
    assert story.now.view.cost.actual is None
