"""M of N must agree: persons are counted, and not their credentials. A rejection is a veto, or one of a majority."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from contracts.runs import events as e
from contracts.runs.config import OnTimeout
from testkit.runs.commands import approve, edit, executed, failed, prepared, reject, retry, start, time_is_up
from testkit.runs.people import ADAM, ANN, ANNS_BOT, BO, CY, DI, principal
from testkit.runs.specification import Ask, Outcome, Story, given, like
from testkit.runs.tasks import by, claim, escalate, task_of, under

PEOPLE = {"users": ["ann", "bo", "cy"]}
TWO = under({"candidates": PEOPLE, "approvals_required": 2})
ONCE = TWO.given(by(ANN, approve(comment="fine")))


def _majority(candidates: dict[str, Any], required: int) -> Story:
    return under({"candidates": candidates, "approvals_required": required, "on_reject": "majority"})


def test_a_vote_that_does_not_decide_yet_leaves_the_checkpoint_open() -> None:
    """The view says who voted."""
    outcome = TWO.when(by(ANN, approve(comment="fine", message="go")))
    said = {"action": "approve", "comment": "fine", "message": "go", "counts": True, "on_behalf_of": None}
    outcome.then(like(e.VoteCast, **said))
    outcome.leaves(
        state="payload_review",
        last_approval=None,
        checkpoint__approvals_required=2,
        checkpoint__approvals=({"actor": "ann", "action": "approve"},),
        checkpoint__task__votes__by=("ann",),
        checkpoint__task__votes__counts=(True,),
    )


def test_the_last_approval_decides() -> None:
    """The decision is its actor's, and holds what each person said."""
    outcome = ONCE.when(by(BO, approve()))
    outcome.then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)
    outcome.leaves(last_approval__actor="bo", last_approval__votes__by=("ann", "bo"))


@pytest.mark.parametrize(
    "same",
    [ANN, ANNS_BOT, ANN.model_copy(update={"credential": "key:2"}), ANN.model_copy(update={"on_behalf_of": ("bo",)})],
    ids=["again", "own service", "second key", "for another"],
)
def test_a_person_votes_once_by_whatever_way(same: Any) -> None:
    """Neither a second channel, nor a second key, nor the person's own service, nor a seat of another is a second vote."""
    for ask in (approve(), reject()):
        outcome = ONCE.when(by(same, ask)).refused_with("already_voted")
        assert outcome.events == ()


def test_a_persons_service_votes_for_the_person() -> None:
    """The vote is the owner's, who cannot vote again."""
    story = TWO.given(by(ANNS_BOT, approve()))
    assert [vote.by for vote in task_of(story).votes] == ["ann"]
    story.when(by(ANN, approve())).refused_with("already_voted")
    story.when(by(BO, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_a_vote_that_comes_twice_is_one() -> None:
    """The same command has the answer that it had."""
    ask = by(ANN, approve()).but(command_id=TWO.checkpoint_id)
    TWO.given(ask).when(ask).then()


def test_who_is_not_asked_has_no_vote() -> None:
    """An administrator has one everywhere."""
    TWO.when(by(DI, approve())).refused_with("not_candidate")
    ONCE.when(by(ADAM, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_membership_is_that_of_the_credential_that_decides() -> None:
    """Who has left the group decides no more, who has joined decides now; a vote that was cast stands."""
    story = under({"candidates": {"groups": ["legal"]}, "approvals_required": 2}).given(by(BO, approve()))
    left = principal("ed", *BO.roles)
    story.when(by(left, approve())).refused_with("not_candidate")
    joined = left.model_copy(update={"groups": ("legal",)})
    story.when(by(joined, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)
    demoted = joined.model_copy(update={"roles": ()})
    story.when(by(demoted, approve())).refused_with("forbidden")


def test_one_rejection_is_a_veto() -> None:
    """Whatever approvals there are."""
    outcome = ONCE.when(by(BO, reject(reason="no", reason_code="tone")))
    outcome.then(
        like(e.VoteCast, action="reject", reason="no", reason_code="tone"),
        like(e.CheckpointRejected, reason="no", reason_code="tone"),
        e.RunCancelled,
    )
    outcome.leaves(state="cancelled", last_approval__actor="bo", last_approval__votes__by=("ann", "bo"))


def test_a_majority_rejects_when_the_approvals_can_come_no_more() -> None:
    """Of three named persons two must approve: one rejection can be outvoted, two cannot."""
    story = _majority(PEOPLE, 2)
    one = story.given(by(ANN, reject()))
    one.given(by(BO, approve())).when(by(CY, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)
    one.when(by(BO, reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)
    one.given(by(BO, approve())).when(by(CY, reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)


def test_a_majority_rejects_where_all_must_approve_by_one() -> None:
    """Two of two can come no more."""
    _majority({"users": ["ann", "bo"]}, 2).when(by(ANN, reject())).then(
        e.VoteCast, e.CheckpointRejected, e.RunCancelled
    )


def test_a_retry_that_names_what_was_seen_is_bound_to_it() -> None:
    """As each decision is: to the checkpoint, also when it is closed, and to the bytes that are shown."""
    checkpoint = ERROR.now.view.checkpoint
    assert checkpoint is not None
    seen = {"checkpoint_id": checkpoint.checkpoint_id, "subject_sha256": checkpoint.subject_sha256}
    ERROR.when(by(ANN, retry(**seen))).then(e.VoteCast)
    ERROR.when(by(ANN, retry(subject_sha256="0" * 64))).refused_with("subject_changed")
    ERROR.when(by(ANN, retry(checkpoint_id=UUID(int=1)))).refused_with("checkpoint_mismatch")
    retried = ERROR.given(by(ANN, retry()), by(BO, retry()))
    retried.when(by(ADAM, retry(checkpoint_id=checkpoint.checkpoint_id))).refused_with("checkpoint_already_decided")
    ended = under({}).given(by(ANN, reject()))
    ended.when(by(ADAM, retry(subject_sha256="0" * 64))).refused_with("not_allowed")
    assert ended.when(by(ADAM, retry())).refusal is None


def test_a_rejection_of_an_administrator_takes_no_candidate_away() -> None:
    """It is counted where the number of candidates is not known."""
    story = _majority({"users": ["ann", "bo"]}, 2).given(by(ADAM, reject()))
    story.given(by(ANN, approve())).when(by(BO, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)
    story.when(by(ANN, reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)
    unknown = _majority({"groups": ["legal"]}, 2).given(by(ADAM, reject()))
    unknown.when(by(BO, reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)


def test_an_approval_from_before_others_were_asked_is_one_of_those_that_can_come() -> None:
    """It stands; of two who are asked since, one may reject."""
    rules = {"candidates": {"users": ["ann", "bo", "di"]}, "approvals_required": 2, "on_reject": "majority"}
    story = under({**rules, "escalate_to": {"users": ["cy", "di"]}}).given(by(ANN, approve()), by(ADAM, escalate()))
    one = story.given(by(CY, reject()))
    one.when(by(DI, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)
    one.when(by(DI, reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)


def test_a_substitutes_rejection_is_its_candidates() -> None:
    """Of two named persons both must approve."""
    substitute = CY.model_copy(update={"on_behalf_of": ("bo",)})
    story = _majority({"users": ["ann", "bo"]}, 2)
    story.when(by(substitute, reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)


def test_where_one_of_several_named_persons_must_approve_one_rejection_is_outvoted() -> None:
    """It takes all three to reject what any one of them could approve."""
    story = _majority(PEOPLE, 1)
    one = story.given(by(ANN, reject()))
    one.when(by(BO, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)
    one.given(by(BO, reject())).when(by(CY, reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)


@pytest.mark.parametrize("candidates", [{"groups": ["legal"]}, {}], ids=["a group", "every reviewer"])
def test_a_majority_of_an_unknown_number_is_as_many_as_must_approve(candidates: dict[str, Any]) -> None:
    """Of a group it is not known how many could still approve."""
    people = [principal(name, *BO.roles, groups=("legal",)) for name in ("p", "q", "r")]
    one = _majority(candidates, 2).given(by(people[0], reject()))
    one.when(by(people[1], reject())).then(e.VoteCast, e.CheckpointRejected, e.RunCancelled)
    one.given(by(people[1], approve())).when(by(people[2], approve())).then(
        e.VoteCast, e.CheckpointApproved, e.CallOrdered
    )


def test_a_vote_ends_the_voters_claim() -> None:
    """The next person can have it at once, and a time of the claim does nothing."""
    held = TWO.given(by(ANN, claim()))
    held.when(by(BO, approve())).refused_with("claimed_by_other", holder="ann")
    voted = held.given(by(ANN, approve()))
    assert task_of(voted).claimant is None
    assert task_of(voted).epoch > task_of(held).epoch
    voted.when(by(BO, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


def test_where_a_claim_is_required_each_voter_claims() -> None:
    """One after the other."""
    story = under({"candidates": PEOPLE, "approvals_required": 2, "claim": "required"})
    story = story.given(by(ANN, claim()), by(ANN, approve()))
    story.when(by(BO, approve())).refused_with("not_claimed")
    story.given(by(BO, claim())).when(by(BO, approve())).then(e.VoteCast, e.CheckpointApproved, e.CallOrdered)


@pytest.mark.parametrize(
    "rules",
    [
        {"approvals_required": 2},
        {"candidates": {"users": ["ann"]}},
        {"candidates": {"groups": ["legal"]}},
        {"four_eyes": True},
        {"claim": "required"},
        {"stages": [{"name": "legal"}]},
        {"on_reject": "majority"},
    ],
    ids=",".join,
)
def test_a_time_limit_never_approves_where_rules_ask_for_persons(rules: dict[str, Any]) -> None:
    """`on_timeout: approve` then fails the run."""
    under(rules, on_timeout="approve").when(time_is_up()).then(
        like(e.CheckpointExpired, on_timeout=OnTimeout.APPROVE), like(e.RunFailed, error__code="checkpoint_timeout")
    )


@pytest.mark.parametrize("rules", [{}, {"priority": 90, "due_seconds": 60, "lease_seconds": 5}], ids=["none", "times"])
def test_a_time_limit_approves_where_rules_ask_for_no_person(rules: dict[str, Any]) -> None:
    """Priority and dates say nothing of who must approve."""
    story = under(rules, on_timeout="approve", timeout_seconds=10)
    story.when(time_is_up()).then(e.CheckpointApproved, e.CallOrdered)


def test_votes_do_not_prolong_the_time_limit() -> None:
    """A quorum that does not come fails the run, as no decision at all does."""
    ONCE.when(time_is_up()).then(e.CheckpointExpired, like(e.RunFailed, error__code="checkpoint_timeout"))


# ---- error reviews


def _in_error(rules: dict[str, Any]) -> Story:
    asked = start(allowed_steps=("response_review",), reviews={"error_review": rules}, timeout_seconds=86_400)
    return given(asked, prepared(), failed())


ERROR = _in_error({"candidates": PEOPLE, "approvals_required": 2})


def test_at_an_error_review_a_retry_is_a_vote() -> None:
    """The call is made again when enough ask for it."""
    one = ERROR.when(by(ANN, retry()))
    one.then(like(e.VoteCast, action="retry")).leaves(pending_actions=("retry", "edit", "reject"))
    one.story.when(by(ANN, retry())).refused_with("already_voted")
    one.story.when(by(DI, retry())).refused_with("not_candidate")
    two = one.story.when(by(BO, retry()))
    assert [record.kind for record in two.events][:2] == ["vote-cast.v1", "run-retried.v1"]
    two.leaves(last_approval__action="retry", last_approval__votes__by=("ann", "bo"))


def test_a_vote_for_another_call_is_none_for_a_result_that_was_entered() -> None:
    """Who wants another call and who enters the result do not agree: from the result on it is approved or rejected."""
    one = ERROR.given(by(ANN, retry())).when(by(BO, edit({"text": "by hand"})))
    one.then(e.SubjectRevised, like(e.VoteCast, action="edit")).leaves(pending_actions=("approve", "edit", "reject"))
    one.story.when(by(CY, retry())).refused_with("not_allowed")
    two = one.story.when(by(CY, approve()))
    two.then(e.VoteCast, like(e.CheckpointEdited, subject={"text": "by hand"}), e.RunCompleted)
    two.leaves(result={"text": "by hand"}, last_approval__action="edit")


def test_what_came_of_a_failed_call_is_entered_as_it_is_and_then_approved() -> None:
    """An edit without a change enters it: an approval alone would leave the failure."""
    received = {"response": {"text": "half"}}
    asked = start(reviews={"error_review": {"approvals_required": 2}}, allowed_steps=("response_review",))
    story = given(asked, prepared(), failed(received=received))
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None
    assert checkpoint.subject == {"text": "half"}
    one = story.when(by(ANN, edit({})))
    one.then(like(e.SubjectRevised, diff=()), e.VoteCast)
    one.story.when(by(BO, approve())).then(e.VoteCast, e.CheckpointEdited, e.RunCompleted)


def test_a_rejected_error_fails_the_run_with_the_error_that_was_found() -> None:
    """By veto or by majority."""
    ERROR.when(by(ANN, reject())).then(
        e.VoteCast, e.CheckpointRejected, like(e.RunFailed, error__code="provider_error")
    )


def test_each_step_has_its_own_rules() -> None:
    """Those of one step stand in place of those for all."""
    reviews = {"response_review": {"approvals_required": 3}}
    steps = ("payload_review", "response_review")
    story = given(start(review={"approvals_required": 2}, reviews=reviews, allowed_steps=steps), prepared())
    assert task_of(story).approvals_required == 2
    story = story.given(by(ANN, approve()), by(BO, approve()), executed())
    assert task_of(story).approvals_required == 3


# ---- without rules


@pytest.mark.parametrize("ask", [approve(comment="ok"), edit({"temperature": 1}), reject(reason="no")])
def test_a_review_without_rules_makes_the_events_that_it_made_before(ask: Ask) -> None:
    """Byte for byte: no vote, and no member that is new."""
    story = given(start(allowed_steps=("payload_review",)), prepared())
    opened = story.history[-1].to_bytes()
    assert b"rules" not in opened
    outcome: Outcome = story.when(ask)
    known = {"checkpoint_id", "step", "subject_sha256", "comment", "message"}
    more = {"edit-checkpoint.v1": {"edits", "subject", "diff"}, "reject-checkpoint.v1": {"reason"}}
    first = outcome.events[0]
    assert first.kind in {"checkpoint-approved.v1", "checkpoint-edited.v1", "checkpoint-rejected.v1"}
    assert set(first.data.model_dump()) == known | more.get(outcome.command.kind, set())
    assert [record.kind for record in outcome.events if "vote" in record.kind] == []


def test_rules_that_ask_for_one_person_make_no_votes_either() -> None:
    """One decision by a candidate ends it."""
    story = under({"candidates": {"users": ["ann"]}})
    story.when(by(ANN, approve())).then(e.CheckpointApproved, e.CallOrdered)
    story.when(by(ANN, reject())).then(e.CheckpointRejected, e.RunCancelled)
