"""Response review: a person sees the raw and the cleaned response, and decides on the result."""

from __future__ import annotations

from decimal import Decimal

from contracts.json_values import digest
from contracts.providers.orders import ExecuteOrder
from contracts.providers.signals import Signals
from contracts.runs import events as e
from contracts.runs.config import Step
from testkit.runs.commands import (
    PAYLOAD,
    RESPONSE,
    approve,
    at_response_review,
    calling,
    edit,
    executed,
    prepared,
    reject,
    retry,
    start,
)
from testkit.runs.specification import given, like

SCHEMA = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}


def test_a_person_sees_the_cleaned_response_and_the_raw_one_beside_it() -> None:
    """The subject is the cleaned response; raw, signals, usage and cost are its context."""
    signals = Signals(confidence=0.4, response_quality=0.2, safety_flags=("pii",))
    facts = {"signals": signals, "usage": {"tokens": 9}, "cost": Decimal("0.03"), "latency_ms": 12}
    outcome = calling().when(executed(**facts))
    outcome.then(e.CallSucceeded, like(e.CheckpointOpened, step=Step.RESPONSE_REVIEW, subject=RESPONSE))
    outcome.leaves(state="response_review", checkpoint__subject_sha256=digest(RESPONSE), cost__actual=Decimal("0.03"))
    context = outcome.story.now.view.checkpoint_context
    assert (context["raw"], context["usage"], context["latency_ms"]) == ({"id": 7}, {"tokens": 9}, 12)
    assert context["signals"] == signals.model_dump(mode="json")


def test_an_approved_response_is_the_result() -> None:
    """The application gets what the person saw."""
    outcome = at_response_review().when(approve())
    outcome.then(like(e.CheckpointApproved, subject_sha256=digest(RESPONSE)), like(e.RunCompleted, result=RESPONSE))
    outcome.leaves(state="completed", result=RESPONSE, pending_actions=(), checkpoint=None)


def test_an_edited_response_is_the_result() -> None:
    """The diff against the provider's response is kept."""
    outcome = at_response_review().when(edit({"text": "It is green."}))
    edited = like(
        e.CheckpointEdited, diff__path=("/text",), diff__before=("It is red.",), diff__after=("It is green.",)
    )
    outcome.then(edited, like(e.RunCompleted, result={"text": "It is green."}))


def test_an_edit_must_fit_the_schema_of_the_response() -> None:
    """An application that asked for JSON under a schema gets it from people too."""
    story = calling().given(executed(response_schema=SCHEMA))
    story.when(edit({"text": ""})).refused_with("validation_failed")
    story.when(edit({"text": "ok"})).then(e.CheckpointEdited, e.RunCompleted)


def test_a_schema_that_cannot_be_used_is_an_issue_and_no_crash() -> None:
    """A schema that is broken, or refers to the network, refuses the edit and says so."""
    for schema in ({"type": 5}, {"$ref": "https://example.com/x"}, {"$ref": "#/nowhere"}, {"pattern": "("}):
        outcome = calling().given(executed(response_schema=schema)).when(edit({"text": "ok"}))
        outcome.refused_with("validation_failed")
        assert [found["code"] for found in outcome.details["issues"]] == ["schema_unusable"]


def test_an_empty_response_can_be_reviewed_and_completed() -> None:
    """A provider may answer nothing; the run still has a result."""
    outcome = calling().given(executed(response={})).when(approve())
    outcome.leaves(state="completed", result={})


def test_a_rejected_response_cancels_the_run_and_is_no_result() -> None:
    """The rejected run can be retried."""
    outcome = at_response_review().when(reject(reason="rude"))
    outcome.then(e.CheckpointRejected, like(e.RunCancelled, error__code="rejected", error__step=Step.RESPONSE_REVIEW))
    outcome.leaves(state="cancelled", result=None, pending_actions=("retry",))


def test_a_retry_after_a_rejected_response_calls_again_with_the_approved_payload() -> None:
    """The approval of the payload stands; the new response is reviewed, and the costs add up."""
    story = calling().given(executed(cost=Decimal("0.03")), reject())
    outcome = story.when(retry())
    outcome.then(e.RunRetried, like(e.CallOrdered, payload_sha256=digest(PAYLOAD), attempt=1))
    (order,) = outcome.story.orders()
    assert isinstance(order, ExecuteOrder)
    assert order.payload == PAYLOAD
    again = outcome.story.when(executed(response={"text": "2"}, cost=Decimal("0.04")))
    again.then(e.CallSucceeded, like(e.CheckpointOpened, step=Step.RESPONSE_REVIEW, subject={"text": "2"}))
    again.leaves(cost__actual=Decimal("0.07"))


def test_a_cost_that_one_call_did_not_name_is_left_out_of_the_sum() -> None:
    """An unknown cost is not zero, and does not hide a known one."""
    story = calling().given(executed(cost=Decimal("0.03")), reject(), retry(), executed(cost=None))
    assert story.now.view.cost.actual == Decimal("0.03")
    assert calling().given(executed(cost=None)).now.view.cost.actual is None


def test_without_this_review_the_response_is_the_result_at_once() -> None:
    """A step that is switched off leaves no event."""
    story = given(start(allowed_steps=("payload_review",)), prepared(), approve())
    story.when(executed()).then(e.CallSucceeded, like(e.RunCompleted, result=RESPONSE))


def test_an_edit_of_one_member_leaves_an_integer_beyond_2_53_as_it_was() -> None:
    """It is an integer to the schema, to the digest, in the diff and in the result."""
    person = {"id": 1497549923779084388, "name": "Anna"}
    schema = {"properties": {"id": {"type": "integer", "minimum": 2**60}, "name": {"type": "string"}}}
    reviewed = calling().when(executed(response=person, response_schema=schema)).story
    changed = {**person, "name": "Anne"}
    outcome = reviewed.when(edit({"name": "Anne"}))
    outcome.then(
        like(e.CheckpointEdited, subject_sha256=digest(changed), diff__path=("/name",)),
        like(e.RunCompleted, result=changed),
    )
    reviewed.when(edit({"id": 1497549923779084389})).then(
        like(e.CheckpointEdited, diff__before=(1497549923779084388,), diff__after=(1497549923779084389,)),
        e.RunCompleted,
    )
