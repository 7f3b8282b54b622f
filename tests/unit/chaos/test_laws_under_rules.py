"""The laws of the fault suite over runs whose review has rules: what a client was told of a task is held against the history, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chaos.clients.desk import Desk, Steps
from chaos.clients.plans.plan import Plan
from chaos.clients.requests import Answer, Request
from chaos.clients.stories import BOTH, RunStory
from chaos.verdict import laws
from chaos.verdict.laws import Case
from contracts.runs import events as e
from contracts.runs.commands import command_id
from testkit.runs import commands, tasks
from testkit.runs.specification import Story, given


def a_good_case() -> Case:
    """Return a run whose person claimed it, commented and approved, and was told so."""
    story = RunStory(2, "token", "session", plan=Plan(_claims_and_talks))
    start = story.begin()
    core = given(commands.start({"prompt": story.prompt}, allowed_steps=BOTH[:1]))
    start.answer = Answer(201, view_of(core))
    core = core.given(commands.prepared())
    checkpoint = view_of(core)["checkpoint"]
    story.seen.add(checkpoint["checkpoint_id"])
    for step in story.steps(checkpoint):
        assert isinstance(step, list)
        core = carried_out(core, *step)
    core = core.given(commands.executed())
    story.state = "completed"
    story.pushed = {event.version for event in core.history}
    return Case(story, core.history, calls=1)


def _claims_and_talks(desk: Desk) -> Steps:
    yield [desk.ask("claim", "ann")]
    yield [desk.ask("comment", "ann")]
    yield [desk.vote("ann", channel="http")]


def carried_out(core: Story, request: Request) -> Story:
    """Let a request take effect, and tell its client."""
    cause = command_id("http", "default", core.now.run_id, request.key)
    ask = {"claim": tasks.claim(), "comment": tasks.comment(request.key)}.get(request.action, commands.approve())
    if request.action == "approve":
        ask = ask.but(comment=request.key)
    core = core.given(ask.but(command_id=cause, actor=request.actor))
    said = {"comment_id": str(cause), "text": request.key} if request.action == "comment" else view_of(core)
    request.answer = Answer(200, said)
    return core


def view_of(core: Story) -> dict[str, Any]:
    """Return the view as an answer holds it."""
    assert core.view is not None
    return core.view.model_dump(mode="json")


def test_a_good_case_breaks_none() -> None:
    """What happened as it should is no breach."""
    every = (
        laws.ended,
        laws.once,
        laws.gapless,
        laws.answers,
        laws.seen,
        laws.called,
        laws.held,
        laws.timely,
        laws.voted,
    )
    assert [breach for law in every for breach in law(a_good_case())] == []


def lost(kind: type[e.Event]) -> Callable[[Case], Case]:
    """Lose the event of an accepted request."""
    return lambda case: replace(case, history=[event for event in case.history if not isinstance(event.data, kind)])


def doubled(kind: type[e.Event]) -> Callable[[Case], Case]:
    """Let a request take effect twice."""

    def breach(case: Case) -> Case:
        event = next(event for event in case.history if isinstance(event.data, kind))
        return replace(case, history=[*case.history, event])

    return breach


def claim_refused_and_done(case: Case) -> Case:
    """Answer that a claim was refused, though it took effect."""
    case.story.requests[1].answer = Answer(409, {"code": "claimed_by_other"})
    return case


def other_comment(case: Case) -> Case:
    """Answer with another comment than the ledger's."""
    case.story.requests[2].answer = Answer(201, {"comment_id": "another", "text": "another"})
    return case


def event_not_pushed(case: Case) -> Case:
    """Keep the claim from the watcher."""
    claimed = next(event for event in case.history if isinstance(event.data, e.TaskClaimed))
    case.story.pushed.discard(claimed.version)
    return case


def other_end(case: Case) -> Case:
    """Tell the watcher of an end that the plan allows, and that is not the run's."""
    case.story.plan = Plan(_claims_and_talks, ends=("completed", "failed"))
    case.story.state = "failed"
    return case


BREACHES: list[tuple[str, Callable[[Case], Case], Any]] = [
    ("a claim is lost", lost(e.TaskClaimed), laws.once),
    ("a comment is lost", lost(e.CommentAdded), laws.once),
    ("a claim is doubled", doubled(e.TaskClaimed), laws.once),
    ("a comment is doubled", doubled(e.CommentAdded), laws.once),
    ("a claim is refused and done", claim_refused_and_done, laws.once),
    ("a claim is refused that none is against", claim_refused_and_done, laws.answers),
    ("another comment is told", other_comment, laws.answers),
    ("an event of a task is not pushed", event_not_pushed, laws.seen),
    ("another end is told", other_end, laws.ended),
    ("two hold it", doubled(e.TaskClaimed), laws.held),
]


@pytest.mark.parametrize(("breach", "law"), [row[1:] for row in BREACHES], ids=[row[0] for row in BREACHES])
def test_each_law_notices_its_breach(breach: Callable[[Case], Case], law: Any) -> None:
    """A law that cannot be broken proves nothing."""
    assert list(law(breach(a_good_case())))


def test_a_snapshot_stands_in_for_events_that_were_not_pushed() -> None:
    """A watcher that was caught up has missed nothing."""
    case = event_not_pushed(a_good_case())
    case.story.caught_up = True
    assert not list(laws.seen(case))
