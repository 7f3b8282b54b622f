"""A route falls back to the next candidate when the provider fails; a person's approval does not go with it."""

from __future__ import annotations

import pytest

from contracts.providers.orders import ExecuteOrder, PrepareOrder
from contracts.providers.routing import Candidate, Considered, Routing
from contracts.providers.signals import Reason
from contracts.runs import events as e
from contracts.runs.config import Policy, Step
from testkit.runs.commands import PAYLOAD, approve, back_off_ends, failed, lease_ends, note_call, prepared, retry, start
from testkit.runs.specification import Ask, Story, given, like

CHEAPEST = Reason(code="cheapest", message="it costs least")
FIRST = Candidate(provider="openai", model="gpt-5-mini")
NEXT = Candidate(provider="anthropic", model="claude-haiku-5-5")
REQUEST = {"provider": "router", "model": "cheap-text"}


def routed(chosen: Candidate, *others: Candidate, **facts: object) -> Ask:
    """Answer the preparation with the choice of a route."""
    considered = tuple(Considered(**candidate.model_dump(), reason=CHEAPEST) for candidate in (chosen, *others))
    routing = Routing(route="cheap-text", rule=1, reason=CHEAPEST, considered=considered, others=others)
    return prepared(provider=chosen.provider, model=chosen.model, routing=routing, **facts)


def calling(**hitl: object) -> Story:
    """Return a run that calls the first of its route's two candidates."""
    return given(start(REQUEST, **{"policy": Policy.AUTO, **hitl}), routed(FIRST, NEXT))


def order(story: Story) -> PrepareOrder:
    """Return the order to prepare."""
    (found,) = story.orders(since=story.now.version - 1)
    assert isinstance(found, PrepareOrder)
    return found


def test_the_choice_is_in_the_history_and_in_the_view() -> None:
    """The choice comes with its reason and all considered candidates."""
    story = calling()
    assert (story.now.view.provider, story.now.view.model) == ("openai", "gpt-5-mini")
    (chosen,) = [record.data.preparation.routing for record in story.history if isinstance(record.data, e.RunPrepared)]
    assert chosen is not None
    assert (chosen.route, chosen.reason, len(chosen.considered)) == ("cheap-text", CHEAPEST, 2)


def test_a_reviewer_sees_the_choice() -> None:
    """At both reviews before the call."""
    story = given(start(REQUEST), routed(FIRST, NEXT))
    for _ in range(2):
        assert story.now.view.checkpoint_context["routing"]["reason"]["code"] == "cheapest"
        story = story.given(approve())


@pytest.mark.parametrize(
    "failure",
    [
        failed("rate_limited", status=429, retryable=True, retry_after=60),
        failed("provider_error", status=500, retryable=True),
        failed("connection_failed", retryable=True),
        failed("circuit_open", retryable=True, retry_after=30),
        failed("auth_failed", status=401),
        failed("quota_exceeded", status=402),
        failed("forbidden", status=403),
    ],
    ids=lambda ask: str(ask.about(calling())["failure"].code),
)
def test_a_provider_that_is_not_up_to_it_is_left_at_once(failure: Ask) -> None:
    """No retry waits for the provider; the route prepares anew, without the tried candidate."""
    outcome = calling().when(failure)
    outcome.then(e.CallFailed, like(e.RouteFellBack, failed=FIRST), e.PreparationOrdered)
    asked = order(outcome.story)
    assert (asked.intent.provider, asked.intent.model, asked.tried) == ("router", "cheap-text", (FIRST,))
    ended = outcome.story.given(routed(NEXT))
    assert (ended.now.view.provider, ended.now.view.state) == ("anthropic", "api_call")


@pytest.mark.parametrize("code", ["content_filtered", "request_refused", "payload_mismatch"])
def test_what_is_refused_for_what_it_says_is_not_taken_elsewhere(code: str) -> None:
    """Another provider is no way around a filter."""
    calling().when(failed(code)).then(e.CallFailed, e.RunFailed)


@pytest.mark.parametrize("end", [failed("timeout", retryable=True, uncertain=True), lease_ends()])
def test_what_may_have_happened_is_not_made_again_elsewhere(end: Ask) -> None:
    """A call to the next candidate could be a second one."""
    story = calling().given(lease_ends()) if end.kind.__name__ == "ExpireLease" else calling()
    story.when(end).then(e.CallFailed, like(e.CheckpointOpened, step=Step.ERROR_REVIEW))


def test_the_last_candidate_is_tried_as_often_as_any_call() -> None:
    """No other candidate is left."""
    story = calling().given(failed(retryable=True), routed(NEXT))
    outcome = story.when(failed(retryable=True))
    outcome.then(e.CallFailed, like(e.RetryScheduled, attempt=2))
    assert outcome.story.given(back_off_ends()).now.view.provider == "anthropic"


def test_a_candidate_that_was_tried_before_is_not_fallen_back_from_again() -> None:
    """A worker that chooses the candidate again does not lead the run in circles."""
    story = calling().given(failed(retryable=True), routed(FIRST, NEXT))
    story.when(failed(retryable=True)).then(e.CallFailed, e.RetryScheduled)


def test_everything_is_reviewed_anew() -> None:
    """An approval for one provider is none for another."""
    story = given(start(REQUEST), routed(FIRST, NEXT), approve(), approve(), failed(retryable=True), routed(NEXT))
    assert story.now.view.state == "information_review"
    assert story.now.view.checkpoint is not None
    assert story.now.view.checkpoint.subject["provider"] == "anthropic"


def test_a_payload_that_a_person_approved_is_not_replaced_behind_their_back() -> None:
    """Though every signal lets the other candidate's payload pass, it goes back to review."""
    config = {"policy": Policy.AUTO_WITH_THRESHOLDS, "allowed_steps": ("payload_review",)}
    at_review = given(start(REQUEST, **config), routed(FIRST, NEXT, signals={"confidence": 0.1, "payload_changes": 0}))
    story = at_review.given(approve(), failed(retryable=True))
    outcome = story.when(routed(NEXT, payload={**PAYLOAD, "prompt": "another"}))
    changed = like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW, reasons__code=("subject_changed",))
    outcome.then(e.RunPrepared, e.StepPassed, changed)
    outcome.story.when(approve()).then(e.CheckpointApproved, e.CallOrdered)


def test_what_was_approved_for_one_is_not_sent_to_another_though_the_bytes_are_the_same() -> None:
    """Two providers of one model take the same payload; the reviewer sees who would get it now."""
    config = {"policy": Policy.AUTO_WITH_THRESHOLDS, "allowed_steps": ("payload_review",)}
    at_review = given(start(REQUEST, **config), routed(FIRST, NEXT, signals={"confidence": 0.1, "payload_changes": 0}))
    outcome = at_review.given(approve(), failed(retryable=True)).when(routed(NEXT))
    outcome.then(e.RunPrepared, e.StepPassed, like(e.CheckpointOpened, reasons__code=("subject_changed",)))
    context = outcome.story.now.view.checkpoint_context
    assert (context["provider"], context["routing"]["route"]) == ("anthropic", "cheap-text")
    outcome.story.when(approve()).then(e.CheckpointApproved, e.CallOrdered)


@pytest.mark.parametrize("code", ["storage_unavailable", "worker_lost"])
def test_trouble_of_our_own_is_no_reason_to_leave_a_provider(code: str) -> None:
    """The same candidate is tried again."""
    calling().when(failed(code, retryable=True)).then(e.CallFailed, like(e.RetryScheduled, attempt=2))


def test_a_call_that_a_provider_has_taken_is_not_made_elsewhere() -> None:
    """The provider is asked about the call, however long it cannot be reached."""
    story = calling().given(
        note_call("prediction-7"), failed("timeout", retryable=True, uncertain=True), back_off_ends()
    )
    story.when(failed("circuit_open", retryable=True)).then(e.CallFailed, e.RetryScheduled)


def test_a_person_who_retries_an_exhausted_route_has_all_candidates_again() -> None:
    """A provider that failed before may work by now."""
    story = calling(on_error="review").given(failed("auth_failed", status=401), failed("route_exhausted"))
    assert order(story.given(retry())).tried == ()


def test_a_run_without_a_route_stays_where_it_was_sent() -> None:
    """The request named the provider itself."""
    story = given(start(policy=Policy.AUTO), prepared())
    story.when(failed(retryable=True)).then(e.CallFailed, e.RetryScheduled)


def test_another_provider_is_no_way_around_a_budget() -> None:
    """A route does not fall back because of a budget, and an approval of the excess holds for one candidate."""
    outcome = calling().when(failed("budget_exceeded"))
    outcome.then(e.CallFailed, like(e.CheckpointOpened, step=Step.PAYLOAD_REVIEW))
    elsewhere = outcome.story.given(approve(), failed(retryable=True)).when(routed(NEXT))
    assert not [order for order in elsewhere.story.orders() if isinstance(order, ExecuteOrder)]
