"""Who may ask what of a run. The rule stands in the core: no channel gets round it."""

from __future__ import annotations

from uuid import UUID

import pytest

from contracts.identity import Principal, Right, Role
from testkit.runs.commands import (
    again,
    approve,
    at_error_review,
    at_payload_review,
    cancel,
    edit,
    executed,
    pause,
    prepared,
    reject,
    resume,
    retry,
    start,
)
from testkit.runs.people import ADAM, ANN, BO, EVERYONE, GUEST, RITA, RITAS_BOT, ROBERT, principal
from testkit.runs.specification import Ask, Story, given
from testkit.runs.tasks import by, claim, comment, escalate, under

WAITING = given(start(allowed_steps=("payload_review",)).but(principal=RITA), prepared())
PAUSED = WAITING.given(pause().but(principal=ADAM))
IN_ERROR = at_error_review()

MATRIX = [
    (Story(), start(), {RITA, ROBERT, RITAS_BOT, ADAM}),
    (WAITING, approve(), {ANN, ADAM}),
    (WAITING, edit({"temperature": 1}), {ANN, ADAM}),
    (WAITING, reject(), {ANN, ADAM}),
    (WAITING, pause(), {ANN, ADAM}),
    (PAUSED, resume(), {ANN, ADAM}),
    (IN_ERROR, retry(), {ANN, ADAM}),
    (WAITING, cancel(), {RITA, RITAS_BOT, ADAM}),
]
RIGHTS = (Right.START, *[Right.DECIDE] * 3, *[Right.STEER] * 2, Right.DECIDE, Right.CANCEL)
"""The right that each row needs."""


@pytest.mark.parametrize("who", EVERYONE, ids=lambda who: who.subject)
@pytest.mark.parametrize(
    ("story", "ask", "allowed"), MATRIX, ids=lambda value: getattr(getattr(value, "kind", None), "__name__", "")
)
def test_each_role_may_do_what_its_row_says(story: Story, ask: Ask, allowed: set[Principal], who: Principal) -> None:
    """A requester cancels what it started, itself or through its service, and nothing else of others."""
    outcome = story.when(ask.but(principal=who))
    if who in allowed:
        assert outcome.refusal is None
    else:
        outcome.refused_with("forbidden")
        assert outcome.events == ()


@pytest.mark.parametrize(
    ("right", "story", "ask"),
    [(right, *case[:2]) for right, case in zip(RIGHTS, MATRIX, strict=True)],
    ids=lambda value: value if isinstance(value, Right) else "",
)
def test_a_credential_that_is_narrowed_may_do_no_more_than_its_scopes_say(right: Right, story: Story, ask: Ask) -> None:
    """Whatever its roles: with all other rights an administrator is refused, and with this one alone it is not."""
    others = tuple(one for one in Right if one is not right)
    assert story.when(ask.but(principal=ADAM.changed({"scopes": (right,)}))).refusal is None
    refused = story.when(ask.but(principal=ADAM.changed({"scopes": others})))
    refused.refused_with("forbidden")
    assert refused.events == ()


@pytest.mark.parametrize("ask", [pause(), resume(), cancel(), comment()], ids=lambda ask: ask.kind.__name__)
def test_who_started_a_run_and_is_no_requester_any_more_has_no_right_by_that(ask: Ask) -> None:
    """Else its answer would show a run that the person may not read."""
    former = principal("rita", Role.REVIEWER)
    story = under({"candidates": {"users": ["bo"]}}, by=RITA)
    assert story.when(ask.but(principal=former)).events == ()
    assert story.when(ask.but(principal=former)).refusal is not None


def test_an_answer_is_given_again_to_who_may_still_have_it() -> None:
    """A key that is sent once more shows nothing of a run to a person who may not read it now."""
    claimed = under({"candidates": {"users": ["ann"]}}).when(by(ANN, claim()))
    once_more = again(claimed.command)
    assert claimed.story.when(once_more).refusal is None
    claimed.story.when(once_more.but(principal=principal("ann"))).refused_with("forbidden")


@pytest.mark.parametrize(
    ("story", "ask", "allowed"), MATRIX, ids=lambda value: getattr(getattr(value, "kind", None), "__name__", "")
)
def test_a_command_without_a_principal_is_trusted(story: Story, ask: Ask, allowed: set[Principal]) -> None:
    """It comes from a person while authentication is off, when each caller of loopback may decide."""
    assert ADAM in allowed
    assert story.when(ask).refusal is None


def test_a_refusal_is_not_kept() -> None:
    """A right that is given later counts for the same command."""
    ask = approve().but(command_id=UUID(int=7))
    refused = at_payload_review().when(ask.but(principal=GUEST))
    refused.refused_with("forbidden")
    assert refused.refusal is not None
    assert not refused.refusal.remembered
    assert refused.story.when(ask.but(principal=ANN)).refusal is None


def test_a_right_is_asked_for_before_the_state() -> None:
    """Who may not decide learns nothing of what waits."""
    given(start()).when(approve().but(principal=GUEST)).refused_with("forbidden")
    WAITING.when(approve().but(principal=GUEST, expected_version=1)).refused_with("forbidden")


def test_events_say_who_caused_them_and_by_which_credential() -> None:
    """What follows by itself has no principal; what workers say has none either."""
    story = WAITING.given(approve().but(principal=ANN, actor="ann"), executed())
    caused = {record.kind: record.principal for record in story.history if record.principal is not None}
    assert caused == {"run-started.v1": RITA, "checkpoint-approved.v1": ANN}
    assert story.now.requester == RITA


def test_without_authentication_an_event_has_no_principal() -> None:
    """Neither a member nor a byte more."""
    assert all(b"principal" not in record.to_bytes() for record in at_payload_review().history)


NARROW = under({"candidates": {"users": ["bo"]}}, allowed_steps=("payload_review", "response_review"))
BETWEEN = NARROW.given(by(BO, approve()))
UNSEEN = [
    (NARROW, pause(), "forbidden"),
    (NARROW.given(by(ADAM, pause())), resume(), "forbidden"),
    (NARROW, comment(), "not_candidate"),
    (BETWEEN, comment(), "not_candidate"),
    (NARROW.given(by(BO, reject())), retry(), "not_candidate"),
    (NARROW, approve(subject_sha256="0" * 64), "not_candidate"),
    (NARROW, approve(expected_version=1), "not_candidate"),
    (NARROW.given(by(ADAM, pause())), approve(), "not_candidate"),
    (BETWEEN, approve(checkpoint_id=NARROW.checkpoint_id), "not_candidate"),
    (NARROW, claim(), "not_candidate"),
    (NARROW, escalate(), "not_candidate"),
]


@pytest.mark.parametrize(("story", "ask", "code"), UNSEEN)
def test_who_may_not_read_a_run_changes_nothing_and_learns_nothing_of_it(story: Story, ask: Ask, code: str) -> None:
    """Neither its bytes nor its state, neither its candidates nor who decided: each refusal comes before these are looked at."""
    outcome = story.when(by(ANN, ask)).refused_with(code)
    assert (outcome.details, outcome.events) == ({}, ())


def test_who_took_part_may_go_on_reading_and_comment() -> None:
    """Asked once, or by what one did."""
    assert BETWEEN.when(by(BO, comment())).refusal is None
    assert BETWEEN.when(by(RITA, comment())).refusal is None
