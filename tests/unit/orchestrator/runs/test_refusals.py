"""Refusals: each has a code that outsiders know, changes nothing, and tells another tenant nothing."""

from __future__ import annotations

from uuid import UUID

import pytest

from contracts.runs import events as e
from orchestrator.refusals import PayloadTooLarge, Refusal
from orchestrator.runs.refusals import CheckpointAlreadyDecided
from orchestrator.runs.state import MOST_EVENTS
from testkit.runs.commands import (
    again,
    approve,
    at_error_review,
    at_length,
    at_payload_review,
    calling,
    cancel,
    completed,
    edit,
    executed,
    extend_lease,
    failed,
    issue,
    lease_ends,
    newer,
    pause,
    prepared,
    reject,
    resume,
    retry,
    start,
    time_is_up,
)
from testkit.runs.invariants import API_CODES
from testkit.runs.people import ANN, BO, DI, GUEST
from testkit.runs.specification import Ask, Story, given
from testkit.runs.tasks import by, claim, comment, delegate, under

PEOPLE = [approve(), edit({"temperature": 1}), reject(), pause(), cancel()]


# ---- tenants


@pytest.mark.parametrize(
    ("story", "ask"),
    [
        *[(at_payload_review(), ask) for ask in (*PEOPLE, time_is_up())],
        (at_payload_review().given(pause()), resume()),
        (at_error_review(), retry()),
        *[(calling(), ask) for ask in (executed(), failed(), extend_lease(), lease_ends())],
        (given(start()), prepared()),
    ],
)
def test_another_tenants_run_is_not_found(story: Story, ask: Ask) -> None:
    """A foreign tenant learns nothing, not even that the run exists; the run's own tenant may do the same."""
    story.when(ask.but(tenant="elsewhere")).refused_with("run_not_found")
    assert story.when(ask).refusal is None


def test_another_tenant_gets_no_answer_by_a_commands_id() -> None:
    """A command's id that took effect for one tenant is no key to its run for another."""
    ask = approve().but(command_id=UUID(int=7), request_sha256="a" * 64)
    story = at_payload_review().given(ask)
    for sha in ("a" * 64, "b" * 64):
        story.when(ask.but(tenant="elsewhere", request_sha256=sha)).refused_with("run_not_found")


def test_the_version_is_nothing_to_another_tenant() -> None:
    """An old If-Match from elsewhere is answered with `run_not_found`, not with the version."""
    outcome = at_payload_review().when(approve().but(tenant="elsewhere", expected_version=1))
    outcome.refused_with("run_not_found")
    assert outcome.details == {}


def test_events_keep_the_tenant_and_the_session_of_the_run() -> None:
    """A filter by tenant or session finds the whole run."""
    started = given(start().but(tenant="acme"))
    story = started.given(prepared().but(tenant="acme"))
    assert {(record.tenant, record.user_id, record.session_id) for record in story.history} == {("acme", "u1", "s1")}
    (order,) = started.orders()
    assert order.tenant == "acme"
    assert story.due is not None
    assert story.due.tenant == "acme"


# ---- If-Match


@pytest.mark.parametrize("ask", PEOPLE)
def test_if_match_is_honoured(ask: Ask) -> None:
    """412 if the run has moved on from the named version, before any other check."""
    story = at_payload_review()
    version = story.now.version
    for other in (version - 1, version + 1, 0):
        outcome = story.when(ask.but(expected_version=other, checkpoint_id=UUID(int=1)))
        outcome.refused_with("precondition_failed", version=version, expected=other)
    assert story.when(ask.but(expected_version=version)).refusal is None


def test_if_match_does_not_hold_up_the_same_request_again() -> None:
    """The version has moved on because the request took effect; it gets its answer."""
    story = at_payload_review()
    ask = approve().but(command_id=UUID(int=7), expected_version=story.now.version)
    story.given(ask).when(ask).then()


# ---- what a refusal is


REFUSED = [
    ("run_not_found", Story(), approve()),
    ("run_already_exists", at_payload_review(), start()),
    (
        "idempotency_key_reused",
        given(start().but(command_id=UUID(int=7))),
        approve().but(command_id=UUID(int=7), request_sha256="a" * 64),
    ),
    ("forbidden", at_payload_review(), approve().but(principal=GUEST)),
    ("precondition_failed", at_payload_review(), approve().but(expected_version=1)),
    ("not_allowed", completed(), approve()),
    ("checkpoint_mismatch", at_payload_review(), approve(checkpoint_id=UUID(int=1))),
    ("subject_changed", at_payload_review(), approve(subject_sha256="0" * 64)),
    ("validation_failed", at_payload_review(), edit({"temperature": 9})),
    ("newer_history", newer(at_payload_review()), approve()),
    ("history_too_long", at_length(at_payload_review(), MOST_EVENTS), pause()),
    ("not_candidate", under({"candidates": {"users": ["bo"]}}), by(ANN, approve())),
    ("claimed_by_other", under({}).given(by(BO, claim())), by(ANN, approve())),
    ("not_claimed", under({"claim": "required"}), by(ANN, approve())),
    ("delegated", under({}).given(by(ANN, delegate("bo"))), by(ANN, approve())),
    ("four_eyes", under({"four_eyes": True}, by=DI), by(DI, approve())),
    ("already_voted", under({"approvals_required": 2}).given(by(ANN, approve())), by(ANN, approve())),
    ("comment_not_found", under({}), by(ANN, comment(answers=UUID(int=1)))),
    ("checkpoint_already_decided", calling(), approve(checkpoint_id=at_payload_review().checkpoint_id)),
]


@pytest.mark.parametrize(("code", "story", "ask"), REFUSED, ids=[code for code, _, _ in REFUSED])
def test_a_refusal_changes_nothing_and_says_so_in_a_sentence(code: str, story: Story, ask: Ask) -> None:
    """Nothing is recorded; the code is for programs, the message for people."""
    outcome = story.when(ask).refused_with(code)
    assert outcome.refusal is not None
    assert outcome.events == ()
    assert outcome.story.run == story.run
    assert 10 < len(outcome.refusal.message) < 300


def test_every_code_of_the_core_is_refused_above() -> None:
    """Each code can be provoked here; only the intake says that an event is too large, or that the fault was ours."""
    assert {code for code, _, _ in REFUSED} == API_CODES
    of_the_intake = {PayloadTooLarge.code, "internal_error"}
    assert {kind.code for kind in _all(Refusal)} == API_CODES | of_the_intake


def test_a_refusal_can_come_to_be_accepted() -> None:
    """`decide` remembers no refusals: asked again when it is allowed, the same command takes effect."""
    ask = approve().but(command_id=UUID(int=7))
    refused = given(start()).when(ask).refused_with("not_allowed")
    refused.story.given(prepared()).when(again(refused.command)).then(e.CheckpointApproved, e.CheckpointOpened)


def test_only_what_will_always_be_refused_is_remembered() -> None:
    """Commands of workers and the clock name attempts and times, and a stolen key must not take its owner's answer."""
    assert completed().when(approve()).refusal.remembered is True  # type: ignore[union-attr]
    reused = REFUSED[2]
    assert reused[1].when(reused[2]).refusal.remembered is False  # type: ignore[union-attr]
    for story, ask in ((calling(), executed().but(attempt=9)), (calling(), lease_ends().but(at=calling().at))):
        assert story.when(ask).refusal.remembered is False  # type: ignore[union-attr]


def test_several_issues_are_counted_in_the_message() -> None:
    """The message names the first issue, and the number of the others."""
    story = given(start(allowed_steps=("payload_review",)), prepared(issues=(issue(), issue(path=""))))
    outcome = story.when(approve())
    assert str(outcome.refusal) == "/temperature: at most 2 (and 1 more)"
    whole = given(start(allowed_steps=("payload_review",)), prepared(issues=(issue(path=""),)))
    assert str(whole.when(approve()).refusal) == "/: at most 2"


def test_not_allowed_says_what_is() -> None:
    """The details hold the state and the pending actions."""
    at_payload_review().when(retry()).refused_with(
        "not_allowed", state="payload_review", paused=False, pending_actions=["approve", "edit", "reject"]
    )


def test_a_loser_is_told_in_one_sentence_who_was_first() -> None:
    """The message names the person and the decision."""
    story = at_payload_review()
    outcome = story.given(reject().but(actor="bob")).when(approve(checkpoint_id=story.checkpoint_id))
    assert isinstance(outcome.refusal, CheckpointAlreadyDecided)
    assert outcome.refusal.message == "bob has decided this checkpoint: reject"


def _all(kind: type[Refusal]) -> set[type[Refusal]]:
    """Return the product's refusals with a code of their own; the testkit's aggregate has more."""
    below = {found for child in kind.__subclasses__() for found in _all(child)}
    return below | ({kind} if kind is not Refusal and kind.__module__.startswith("orchestrator.") else set())
