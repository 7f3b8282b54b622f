"""The laws of the fault suite can be broken: each notices the breach that it is there for, and nothing but breaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from chaos.clients.load import longest_gap
from chaos.clients.requests import Answer, Request
from chaos.clients.stories import BOTH, RunStory
from chaos.verdict import laws
from chaos.verdict.laws import Case
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, project
from testkit.runs import commands
from testkit.runs.specification import Story, given

LAWS = (laws.ended, laws.once, laws.gapless, laws.answers, laws.seen, laws.called, laws.held, laws.timely, laws.voted)


def a_good_case() -> Case:
    """Return a run that was approved twice, and whose person was told so."""
    story = RunStory(0, "token", "session")
    start = story.begin()
    core = given(commands.start({"prompt": story.prompt}, allowed_steps=BOTH))
    start.answer = Answer(201, view_of(core))
    story.run_id = str(core.now.run_id)
    for answer in (commands.prepared(), commands.executed()):
        core = core.given(answer)
        core = approved(story, core)
    story.state = "completed"
    return Case(story, core.history, calls=1)


def approved(story: RunStory, core: Story) -> Story:
    """Let the story's person approve what waits, and be told."""
    checkpoint = view_of(core)["checkpoint"]
    story.seen.add(checkpoint["checkpoint_id"])
    step = next(story.steps(checkpoint))
    assert isinstance(step, list)
    (request,) = step
    core = core.given(commands.approve(comment=request.key, actor=request.actor))
    request.channel = "http"
    request.answer = Answer(200, view_of(core))
    return core


def view_of(core: Story) -> dict[str, Any]:
    """Return the view as an answer holds it."""
    view: RunView | None = None
    for event in core.history:
        view = project(view, event)
    assert view is not None
    return view.model_dump(mode="json")


def test_a_good_case_breaks_none() -> None:
    """What happened as it should is no breach."""
    assert [breach for law in LAWS for breach in law(a_good_case())] == []


def forgotten(case: Case) -> Case:
    """Lose the end of the history."""
    return replace(case, history=case.history[:-1])


def not_told(case: Case) -> Case:
    """Keep the run's end from its watcher."""
    case.story.state = None
    return case


def decided_twice(case: Case) -> Case:
    """Let a decision take effect twice."""
    decision = _decision(case.history)
    return replace(case, history=[*case.history, decision.model_copy(update={"version": len(case.history) + 1})])


def decided_by_nobody(case: Case) -> Case:
    """Add the effect of a decision that no client made."""
    decision = _decision(case.history)
    strange = decision.model_copy(update={"data": decision.data.model_copy(update={"comment": "who?"})})
    return replace(case, history=[event if event is not decision else strange for event in case.history])


def refused_and_done(case: Case) -> Case:
    """Answer that a decision was refused, though it took effect."""
    _last(case).expected = "subject_changed"
    _last(case).answer = Answer(409, {"code": "subject_changed"})
    return case


def accepted_and_not_done(case: Case) -> Case:
    """Answer that a decision was accepted, though it left no event."""
    decision = _decision(case.history)
    return replace(case, history=[event for event in case.history if event is not decision])


def with_a_gap(case: Case) -> Case:
    """Lose an event in the middle."""
    return replace(case, history=[*case.history[:3], *case.history[4:]])


def other_values(case: Case) -> Case:
    """Answer with another view than the ledger's."""
    answer = _last(case).answer
    assert answer is not None
    _last(case).answer = replace(answer, body={**answer.body, "updated_at": "2026-01-01T00:00:00Z"})
    return case


def never_answered(case: Case) -> Case:
    """Leave a request without an answer."""
    _last(case).answer = None
    return case


def failed_inside(case: Case) -> Case:
    """Answer with 500 on the way."""
    _last(case).answers.append(Answer(500, {}))
    return case


def not_shown(case: Case) -> Case:
    """Keep a request from its watcher."""
    case.story.seen.pop()
    return case


def called_again(case: Case) -> Case:
    """Call the provider twice for one approval."""
    return replace(case, calls=2)


def made_up(case: Case) -> Case:
    """Have an answer without a call."""
    return replace(case, calls=0)


BREACHES: list[tuple[Callable[[Case], Case], Any]] = [
    (forgotten, laws.ended),
    (not_told, laws.ended),
    (decided_twice, laws.once),
    (decided_by_nobody, laws.once),
    (refused_and_done, laws.once),
    (accepted_and_not_done, laws.once),
    (with_a_gap, laws.gapless),
    (other_values, laws.answers),
    (never_answered, laws.answers),
    (failed_inside, laws.answers),
    (not_shown, laws.seen),
    (called_again, laws.called),
    (made_up, laws.called),
]


@pytest.mark.parametrize(("breach", "law"), BREACHES, ids=[f"{breach.__name__}" for breach, _ in BREACHES])
def test_each_law_notices_its_breach(breach: Callable[[Case], Case], law: Any) -> None:
    """A law that cannot be broken proves nothing."""
    assert list(law(breach(a_good_case())))


def test_a_call_again_is_no_breach_when_a_person_said_so() -> None:
    """When the outcome of a call is unknown, a person may repeat it."""
    core = commands.calling(allowed_steps=BOTH[:1]).given(
        commands.lease_ends(), commands.lease_ends(), commands.retry(reason="key")
    )
    case = Case(RunStory(0, "token", "session"), core.history, calls=2)
    assert not list(laws.called(case))
    assert list(laws.called(replace(case, calls=3)))


def test_a_stall_is_the_longest_time_between_two_effects() -> None:
    """It is what a person would call an outage."""
    assert longest_gap([1.0, 2.0, 7.5, 8.0]) == 5.5


def _decision(history: Sequence[RunEvent]) -> RunEvent:
    return next(event for event in history if isinstance(event.data, e.CheckpointApproved))


def _last(case: Case) -> Request:
    return case.story.requests[-1]
