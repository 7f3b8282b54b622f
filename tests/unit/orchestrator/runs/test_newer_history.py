"""A run whose history holds an event of an unknown kind can be read, and is otherwise left to the version that knows it."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

import pytest

from contracts.providers.call import Checked, Execution, Failure, Preparation
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.requests import RunRequest
from contracts.runs.run_event import RunEvent
from contracts.runs.views import project
from orchestrator.runs import evolve, fold, orders, react
from testkit.runs.commands import (
    again,
    approve,
    at_error_review,
    at_information_review,
    at_payload_review,
    back_off_ends,
    calling,
    cancel,
    completed,
    edit,
    executed,
    failed,
    lease_ends,
    newer,
    note_call,
    start,
    time_is_up,
)
from testkit.runs.specification import Ask, Story, given

KIND = "run-forked.v1"
HISTORY = calling().given(failed(retryable=True), back_off_ends(), note_call(), executed(), approve()).history
STORIES = {
    "preparing": given(start()),
    "at a review": at_payload_review(),
    "at an error review": at_error_review(),
    "calling": calling(),
    "stopping a call": calling().given(cancel()),
    "waiting to retry": calling().given(failed(retryable=True)),
    "over": completed(),
}
MEMBERS = {
    "request": RunRequest(prompt="p"),
    "work_id": "w",
    "attempt": 1,
    "checkpoint_id": UUID(int=1),
    "edits": {},
    "preparation": Preparation(provider="sandbox", model=None, operation="text", payload={}, payload_schema={}),
    "checked": Checked(),
    "execution": Execution(response={}),
    "failure": Failure(code="x", message="y"),
    "provider_call_id": "p1",
    "ending": "stopped",
    "user": "bo",
    "text": "t",
    "comment_id": UUID(int=2),
    "what": "due_at",
    "epoch": 0,
}


def _with_unknown(place: int, history: tuple[RunEvent, ...] = HISTORY) -> list[RunEvent]:
    """Return `history` with an event of an unknown kind at `place`, read from its bytes."""
    unknown = history[0].changed({"kind": KIND, "data": e.UnknownEvent(facts={"x": 1})})
    records = [*history[:place], unknown, *history[place:]]
    numbered = [record.changed({"version": version}) for version, record in enumerate(records, 1)]
    return [RunEvent.parse(record.to_bytes()) for record in numbered]


@pytest.mark.parametrize("place", range(len(HISTORY) + 1))
def test_a_history_with_an_unknown_kind_folds_to_a_view(place: int) -> None:
    """At the beginning, in the middle or at the end: no fold raises, and the run shows what the read model shows."""
    run, view = None, None
    for record in _with_unknown(place):
        run, view = evolve(run, record), project(view, record)
        assert run.view == view
    assert run is not None
    assert (run.version, run.newer_kind) == (len(HISTORY) + 1, KIND)


@pytest.mark.parametrize("place", range(len(HISTORY) + 1))
def test_nothing_follows_for_a_run_with_a_newer_history(place: int) -> None:
    """Its history is published again without an order, and its deadline stays as the newer version set it."""
    history = _with_unknown(place)
    run = fold(history)
    assert run is not None
    for record in history:
        assert react(record.data, run) == ()
        assert orders(record.data, run) == ()


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
@pytest.mark.parametrize("kind", get_args(c.AnyCommand))
def test_every_command_is_refused(kind: type[c.Command], story: Story) -> None:
    """People, workers and the clock alike, in every state, before anything else is looked at."""
    newer(story).when(Ask(kind, lambda _: MEMBERS)).refused_with("newer_history", kind=KIND)
    newer(story).when(Ask(kind, lambda _: {**MEMBERS, "expected_version": 1})).refused_with("newer_history")


@pytest.mark.parametrize(
    ("story", "ask"),
    [
        (at_payload_review(), approve()),
        (at_payload_review(), time_is_up()),
        (calling(), executed()),
        (calling(), lease_ends()),
        (calling().given(cancel()), lease_ends()),
        (calling().given(failed(retryable=True)), back_off_ends()),
    ],
)
def test_what_the_run_waits_for_is_refused_too(story: Story, ask: Ask) -> None:
    """The same command takes effect where the kind is known: nothing but the newer event stands in its way."""
    accepted = story.when(ask)
    assert accepted.refusal is None
    newer(story).when(again(accepted.command)).refused_with("newer_history")


def test_a_command_that_took_effect_is_refused_when_it_comes_again() -> None:
    """The recorded answer may rest on the unknown event, so this version does not repeat it."""
    ask = approve().but(command_id=UUID(int=7), request_sha256="a" * 64)
    story = at_payload_review().given(ask)
    for sha in ("a" * 64, "b" * 64):
        newer(story).when(ask.but(request_sha256=sha)).refused_with("newer_history")


def test_the_refusal_is_not_remembered() -> None:
    """A newer version may decide the same command."""
    outcome = newer(at_payload_review()).when(approve())
    assert outcome.refusal is not None
    assert outcome.refusal.remembered is False


def test_another_tenant_does_not_learn_of_the_newer_history() -> None:
    """The run is not found, as ever."""
    newer(at_payload_review()).when(approve().but(tenant="elsewhere")).refused_with("run_not_found")


def test_the_first_unknown_kind_is_named() -> None:
    """The operator learns which version is needed."""
    story = newer(newer(at_payload_review(), "checkpoint-claimed.v1"), "run-forked.v1")
    story.when(approve()).refused_with("newer_history", kind="checkpoint-claimed.v1")


def test_known_kinds_after_an_unknown_one_cannot_break_the_fold() -> None:
    """A newer version may let a known kind say more than this one can read: an intent of another shape, for one."""
    story = newer(at_information_review())
    edited = at_information_review().when(edit({"prompt": "another"})).events[0]
    facts = edited.data.changed({"subject": {"of another": "shape"}})
    run = evolve(story.run, edited.changed({"version": story.now.version + 1, "data": facts}))
    assert (run.version, run.intent) == (story.now.version + 1, story.now.intent)
    assert run.view.checkpoint is None
