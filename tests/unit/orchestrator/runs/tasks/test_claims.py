"""A claim says who does it now. It holds for a lease, which activity renews and which announces its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from contracts.runs import events as e
from testkit.runs.commands import again, approve, at_payload_review, cancel, pause, reject, resume
from testkit.runs.people import ADAM, ANN, BO, CY, DI
from testkit.runs.specification import Ask, Story, like
from testkit.runs.tasks import (
    assign,
    by,
    claim,
    comment,
    delegate,
    give_back,
    keep_draft,
    release,
    task_of,
    time_comes,
    under,
)

RULES = {"candidates": {"users": ["ann", "bo"]}, "lease_seconds": 600}
OPEN = under(RULES)
CLAIMED = OPEN.given(by(ANN, claim()))


def _after_lease(story: Story) -> Story:
    until = task_of(story).lease_until
    assert until is not None
    return story.later((until - story.at).total_seconds())


def test_a_claim_holds_until_the_lease_ends() -> None:
    """Claimant and end are in the view; the end is the claim's time and the lease."""
    outcome = OPEN.when(by(ANN, claim()))
    until = outcome.command.at + timedelta(seconds=600)
    outcome.then(like(e.TaskClaimed, lease_until=until, reason=None))
    outcome.leaves(
        checkpoint__task__state="claimed",
        checkpoint__task__claimant="ann",
        checkpoint__task__lease_until=until,
        checkpoint__task__assignee=None,
        checkpoint__task__owner=None,
    )
    task = task_of(outcome.story)
    assert task.holder(until - timedelta(microseconds=1)) == "ann"
    assert task.holder(until) is None


def test_a_run_without_rules_can_be_claimed_too() -> None:
    """Every checkpoint has a task."""
    at_payload_review().when(by(ANN, claim())).then(e.TaskClaimed)


def test_another_is_told_who_holds_it_and_until_when() -> None:
    """The refusal names both, leaves no event, and is remembered: the same command never claims it."""
    until = task_of(CLAIMED).lease_until
    assert until is not None
    outcome = CLAIMED.when(by(BO, claim()))
    outcome.refused_with("claimed_by_other", holder="ann", lease_until=until.isoformat().replace("+00:00", "Z"))
    assert outcome.refusal is not None
    assert outcome.refusal.remembered
    assert outcome.events == ()


@pytest.mark.parametrize("ask", [approve(), reject(), assign("bo")], ids=["approve", "reject", "assign"])
def test_while_it_is_claimed_the_holder_alone_acts(ask: Ask) -> None:
    """Another candidate neither decides nor moves it."""
    CLAIMED.when(by(BO, ask)).refused_with("claimed_by_other", holder="ann")
    assert CLAIMED.when(by(ANN, ask)).refusal is None


def test_who_is_not_asked_cannot_claim() -> None:
    """The refusal says who is asked only to who may read the run."""
    assert OPEN.when(by(CY, claim())).refused_with("not_candidate").details == {}
    asked = {"users": ["ann", "bo"], "groups": []}
    helped = OPEN.given(by(ANN, delegate("cy")), by(CY, give_back()))
    helped.when(by(CY, claim())).refused_with("not_candidate", candidates=asked)


def test_a_further_claim_of_the_holder_renews_the_lease() -> None:
    """The claim goes on, and is no second one."""
    later = CLAIMED.later(300)
    outcome = later.when(by(ANN, claim()))
    outcome.then(like(e.ClaimRenewed, lease_until=outcome.command.at + timedelta(seconds=600)))


def test_a_renewal_that_moves_the_end_by_next_to_nothing_is_no_event() -> None:
    """Activity costs few events: a tenth of the lease passes first."""
    CLAIMED.later(30).when(by(ANN, claim())).then()
    CLAIMED.later(60).when(by(ANN, claim())).then(e.ClaimRenewed)


@pytest.mark.parametrize("ask", [keep_draft(), comment()], ids=["draft", "comment"])
def test_activity_of_the_holder_renews_the_lease(ask: Ask) -> None:
    """A draft and a comment are activity; those of others renew nothing."""
    later = CLAIMED.later(300)
    mine = later.when(by(ANN, ask))
    assert [record.kind for record in mine.events][-1] == "claim-renewed.v1"
    theirs = later.when(by(BO, ask))
    assert [record.kind for record in theirs.events if "claim" in record.kind] == []


def test_the_lease_announces_its_end_and_then_ends() -> None:
    """A minute before it ends, or in its last quarter; then the task is open, and another can claim it."""
    due = CLAIMED.due
    until = task_of(CLAIMED).lease_until
    assert due is not None
    assert until is not None
    assert due.at == until - timedelta(seconds=60)
    announced = CLAIMED.when(time_comes())
    announced.then(like(e.ClaimEnding, claimant="ann", lease_until=until))
    announced.leaves(checkpoint__task__claimant="ann", checkpoint__task__lease_ending=True)
    ended = announced.story.when(time_comes())
    ended.then(like(e.ClaimEnded, claimant="ann", why="expired"))
    ended.leaves(checkpoint__task__state="open", checkpoint__task__claimant=None, checkpoint__task__lease_until=None)
    ended.story.when(by(BO, claim())).then(e.TaskClaimed)


def test_a_short_lease_announces_its_end_in_its_last_quarter() -> None:
    """A minute may be more than the whole lease."""
    story = under({"lease_seconds": 8}).given(by(ANN, claim()))
    assert story.due is not None
    until = task_of(story).lease_until
    assert until is not None
    assert story.due.at == until - timedelta(seconds=2)


def test_after_the_announcement_a_renewal_is_announced_again() -> None:
    """Activity after the warning takes it back."""
    warned = CLAIMED.given(time_comes())
    renewed = warned.given(by(ANN, claim()))
    assert not task_of(renewed).lease_ending
    renewed.when(time_comes()).then(e.ClaimEnding)


def test_a_lease_time_that_was_renewed_does_nothing() -> None:
    """The clock's earlier command finds that its time has not come."""
    due = CLAIMED.due
    assert due is not None
    renewed = CLAIMED.later(300).given(by(ANN, claim()))
    outcome = renewed.when(again(due).but(at=renewed.at))
    outcome.refused_with("not_allowed")
    assert outcome.refusal is not None
    assert not outcome.refusal.remembered
    assert outcome.events == ()


def test_a_lapsed_claim_hinders_no_other() -> None:
    """The clock may be late, or may have jumped an hour: the former claim's end is recorded before the new claim."""
    jumped = CLAIMED.later(3600)
    outcome = jumped.when(by(BO, claim()))
    outcome.then(like(e.ClaimEnded, claimant="ann", why="expired"), e.TaskClaimed)
    outcome.leaves(checkpoint__task__claimant="bo")
    jumped.when(by(BO, approve())).then(e.CheckpointApproved, e.CallOrdered)


def test_a_late_answer_of_the_former_holder_is_refused_with_the_new_holders_name() -> None:
    """The lease ended, another claimed it."""
    taken = _after_lease(CLAIMED).given(by(BO, claim()))
    taken.when(by(ANN, keep_draft())).then(e.DraftBegun)
    taken.when(by(ANN, approve())).refused_with("claimed_by_other", holder="bo")


def test_a_claim_is_released_by_its_holder() -> None:
    """It is open again at once."""
    outcome = CLAIMED.when(by(ANN, release()))
    outcome.then(like(e.ClaimEnded, claimant="ann", why="released", reason=None))
    outcome.leaves(checkpoint__task__state="open", checkpoint__task__claimant=None)


def test_only_a_claim_can_be_released_and_only_ones_own() -> None:
    """Without a claim there is nothing to release, also when its lease has ended."""
    OPEN.when(by(ANN, release())).refused_with("not_claimed")
    _after_lease(CLAIMED).when(by(ANN, release())).refused_with("not_claimed")
    CLAIMED.when(by(BO, release())).refused_with("claimed_by_other", holder="ann")


@pytest.mark.parametrize("ask", [claim, release])
def test_an_override_needs_an_administrator_and_a_reason(ask: Callable[..., Ask]) -> None:
    """Without the role it is forbidden; without a reason the refusal names the field; blanks are no reason."""
    CLAIMED.when(by(BO, ask(override=True, reason="he is ill"))).refused_with("forbidden")
    for reason in (None, "", "  "):
        refused = CLAIMED.when(by(ADAM, ask(override=True, reason=reason)))
        refused.refused_with("validation_failed")
        assert [issue["path"] for issue in refused.details["issues"]] == ["/reason"]
    CLAIMED.when(by(ADAM, ask())).refused_with("claimed_by_other")


def test_an_override_says_why() -> None:
    """The former holder holds it no longer."""
    taken = CLAIMED.when(by(ADAM, claim(override=True, reason="she is ill")))
    taken.then(like(e.TaskClaimed, reason="she is ill")).leaves(checkpoint__task__claimant="adam")
    freed = CLAIMED.when(by(ADAM, release(override=True, reason="she is ill")))
    freed.then(like(e.ClaimEnded, claimant="ann", why="released", reason="she is ill"))


def test_where_a_claim_is_required_only_who_has_claimed_it_decides() -> None:
    """The claim may be lost: then it is claimed anew first."""
    story = under({**RULES, "claim": "required"})
    story.when(by(ANN, approve())).refused_with("not_claimed")
    story.when(by(ADAM, approve())).refused_with("not_claimed")
    held = story.given(by(ANN, claim()))
    held.when(by(ANN, approve())).then(e.CheckpointApproved, e.CallOrdered)
    _after_lease(held).when(by(ANN, approve())).refused_with("not_claimed")


def test_a_pause_does_not_prolong_a_lease() -> None:
    """A lease goes by the clock alone: who holds a paused run's task is asked for activity all the same."""
    until = task_of(CLAIMED).lease_until
    paused = CLAIMED.given(pause())
    assert paused.due is None
    resumed = paused.later(3600).given(resume())
    assert task_of(resumed).lease_until == until
    resumed.given(time_comes()).when(time_comes()).then(like(e.ClaimEnded, why="expired"))


def test_who_has_left_the_candidates_holds_it_to_the_end_of_the_lease_and_no_longer() -> None:
    """A person can still release it, but neither a claim nor a draft prolongs it, before its end and after."""
    held = under({"candidates": {"groups": ["legal"]}}).given(by(BO, claim())).later(300)
    left = BO.model_copy(update={"groups": ()})
    for story in (held, _after_lease(held)):
        for ask in (claim(), keep_draft(), comment()):
            story.when(by(left, ask)).refused_with("not_candidate")
    held.when(by(left, release())).then(like(e.ClaimEnded, why="released"))


def test_a_claim_of_a_decided_task_gets_the_decision() -> None:
    """As every late decision does, where it names the checkpoint."""
    decided = OPEN.given(by(ANN, approve()))
    named = OPEN.checkpoint_id
    outcome = decided.when(by(BO, claim(checkpoint_id=named)))
    outcome.refused_with("checkpoint_already_decided")
    assert outcome.details["decision"]["actor"] == "ann"
    decided.when(by(BO, claim())).refused_with("not_allowed", state="api_call")
    OPEN.when(by(ANN, claim(checkpoint_id=decided.history[-1].cause))).refused_with("checkpoint_mismatch")


def test_a_run_that_is_over_has_no_task() -> None:
    """Neither a claim nor a time of its."""
    over = CLAIMED.given(cancel())
    over.when(by(ANN, claim())).refused_with("not_allowed", state="cancelled")
    assert over.due is None


def test_a_persons_own_service_holds_what_the_person_claimed() -> None:
    """A claim is the person's, whichever key it came by."""
    bot = DI.model_copy(update={"subject": "anns-bot", "kind": "service", "owner": "ann", "credential": "key:2"})
    CLAIMED.later(300).when(by(bot, claim())).then(e.ClaimRenewed)
    CLAIMED.when(by(bot, approve())).then(e.CheckpointApproved, e.CallOrdered)
