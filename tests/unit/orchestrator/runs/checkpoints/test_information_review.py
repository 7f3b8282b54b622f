"""Information review: a person sees the intent before the payload counts, and can change it."""

from __future__ import annotations

import pytest

from contracts.providers.call import catalog_schema
from contracts.providers.orders import PrepareOrder
from contracts.runs import events as e
from contracts.runs.config import Step
from orchestrator.runs.checkpoints.reviews import INTENT_SCHEMA
from testkit.runs.commands import (
    CAPABILITIES,
    approve,
    at_information_review,
    edit,
    failed,
    issue,
    prepared,
    reject,
    retry,
    start,
)
from testkit.runs.specification import given, like


def test_a_person_sees_the_intent_as_the_provider_understood_it() -> None:
    """The worker has filled in the open parts: the model, the operation, the provider behind a tool's name."""
    outcome = given(start({"provider": "replicate-tool"})).when(prepared(provider="sandbox", model="echo"))
    outcome.then(e.RunPrepared, like(e.CheckpointOpened, step=Step.INFORMATION_REVIEW))
    outcome.leaves(provider="sandbox", model="echo", operation="text")
    subject = outcome.data(e.CheckpointOpened).subject
    assert (subject["provider"], subject["model"], subject["operation"]) == ("sandbox", "echo", "text")
    assert subject["prompt"] == "a red bicycle"


def test_a_person_sees_the_capabilities_of_the_provider() -> None:
    """Capabilities are the checkpoint's context."""
    view = at_information_review().now.view
    assert view.checkpoint_context == {"capabilities": CAPABILITIES.model_dump(mode="json")}


def test_what_can_be_chosen_is_the_schema_of_the_subject() -> None:
    """A page builds its form from the schema; without one from the worker, any intent is valid."""
    named, unnamed = at_information_review(), given(start(), prepared(intent_schema=None))
    assert named.now.view.checkpoint is not None
    assert unnamed.now.view.checkpoint is not None
    assert named.now.view.checkpoint.subject_schema == catalog_schema(["sandbox", "openai"])
    assert unnamed.now.view.checkpoint.subject_schema == INTENT_SCHEMA


def test_an_approval_goes_on_to_the_payload_that_was_prepared() -> None:
    """The intent is the same, so the preparation still holds."""
    outcome = at_information_review().when(approve())
    outcome.then(
        like(e.CheckpointApproved, step=Step.INFORMATION_REVIEW), like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW)
    )


def test_an_edit_prepares_again_with_what_the_person_chose() -> None:
    """The new order carries the changed intent, and the new payload goes to payload review, not to information review."""
    story = at_information_review()
    outcome = story.when(edit({"provider": "openai", "parameters": {"temperature": 1}}))
    outcome.then(like(e.CheckpointEdited, step=Step.INFORMATION_REVIEW), like(e.PreparationOrdered, attempt=1))
    outcome.leaves(state="created", checkpoint=None, pending_actions=())
    (order,) = outcome.story.orders()
    assert isinstance(order, PrepareOrder)
    assert (order.intent.provider, order.intent.prompt) == ("openai", "a red bicycle")
    assert order.intent.parameters == {"temperature": 1}
    assert order.work_id != f"{story.now.run_id}.1", "another piece of work: answers to the first are refused"
    assert order.with_capabilities is False, "they were seen"
    again = outcome.story.when(prepared(provider="openai", payload={"prompt": "p", "temperature": 1}))
    again.then(e.RunPrepared, like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW))
    again.leaves(provider="openai", checkpoint__subject={"prompt": "p", "temperature": 1})


def test_the_payload_before_an_edit_is_gone() -> None:
    """If the new preparation fails, the old one is neither shown nor called with."""
    outcome = at_information_review().given(edit({"provider": "openai"})).when(failed("provider_unknown"))
    outcome.then(e.PreparationFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))
    assert outcome.story.now.view.checkpoint_context["payload"] is None


def test_an_edit_by_null_leaves_the_choice_to_the_provider() -> None:
    """RFC 7396: null removes the member, and an intent without a model takes the default one."""
    (order,) = at_information_review().given(edit({"model": None})).orders()
    assert isinstance(order, PrepareOrder)
    assert order.intent.model is None


@pytest.mark.parametrize(
    ("edits", "path"),
    [({"provider": "nobody"}, "/provider"), ({"prompt": 7}, "/prompt"), ({"prompt": None}, ""), ({"promt": "x"}, "")],
)
def test_an_edit_to_what_is_not_on_offer_is_refused(edits: dict[str, object], path: str) -> None:
    """An unknown provider, a wrong type, a missing prompt, a misspelt member: 422 with the place."""
    outcome = at_information_review().when(edit(edits))
    outcome.refused_with("validation_failed")
    assert [found["path"] for found in outcome.details["issues"]] == [path]


def test_an_edit_that_is_no_intent_is_refused_also_under_a_careless_schema() -> None:
    """A worker whose schema forgets the prompt's type must not let an unreadable intent into the history."""
    story = given(start(), prepared(intent_schema={"type": "object"}))
    story.when(edit({"prompt": 7})).refused_with("validation_failed")
    story.when(edit({"attachments": "one"})).refused_with("validation_failed")


def test_a_rejection_cancels_the_run_and_says_why() -> None:
    """The reason is the run's error."""
    outcome = at_information_review().when(reject(reason="wrong model"))
    outcome.then(
        like(e.CheckpointRejected, reason="wrong model"),
        like(e.RunCancelled, error__code="rejected", error__message="wrong model", error__step=Step.INFORMATION_REVIEW),
    )
    outcome.leaves(state="cancelled", pending_actions=("retry",))


def test_a_retry_after_a_rejection_asks_for_the_information_again() -> None:
    """A run that got no further has no step that counts as reviewed."""
    outcome = at_information_review().given(reject(), retry()).when(prepared())
    outcome.then(e.RunPrepared, like(e.CheckpointOpened, step=Step.INFORMATION_REVIEW))


def test_a_retry_keeps_what_a_person_chose() -> None:
    """The intent stays the edited one, although every review comes again."""
    story = at_information_review().given(edit({"provider": "openai"}), prepared(provider="openai"), reject(), retry())
    (order,) = story.orders()
    assert isinstance(order, PrepareOrder)
    assert (order.intent.provider, order.with_capabilities) == ("openai", True)


def test_issues_of_the_first_preparation_are_gone_after_the_second() -> None:
    """The reviewer sees the issues of the waiting payload, not of an earlier one."""
    story = given(start(), prepared(issues=(issue(),)), edit({"provider": "openai"}))
    outcome = story.when(prepared(issues=()))
    outcome.leaves(checkpoint__step=Step.PAYLOAD_REVIEW, checkpoint__issues=())


def test_a_preparation_that_fails_for_good_goes_to_error_review_before_any_call() -> None:
    """The state stays, and the reason says that the preparation failed."""
    outcome = given(start()).when(failed("provider_unknown"))
    outcome.then(e.PreparationFailed, like(e.CheckpointOpened, reasons__code=("prepare_failed",)))
    outcome.leaves(state="created", checkpoint__step=Step.ERROR_REVIEW)
