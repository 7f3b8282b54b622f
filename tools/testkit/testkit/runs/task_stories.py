"""Stories of tasks that hypothesis makes up: people who claim, assign, vote, edit and comment, and a clock that goes on."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from contracts.runs.commands import RecordExecution
from testkit.runs.commands import again, approve, edit, executed, pause, reject, resume
from testkit.runs.people import ADAM, ANN, BO, CY, DI, RITA
from testkit.runs.specification import Ask, Story
from testkit.runs.tasks import (
    assign,
    by,
    claim,
    comment,
    delegate,
    drop_draft,
    escalate,
    give_back,
    keep_draft,
    release,
    reschedule,
    under,
)

RULES: tuple[dict[str, Any], ...] = (
    {},
    {"candidates": {"users": ["ann", "bo"]}, "approvals_required": 2},
    {"candidates": {"groups": ["legal", "leads"]}, "four_eyes": True, "priority": 80, "due_seconds": 600},
    {"candidates": {"users": ["di"], "groups": ["leads"]}, "start_by_seconds": 60, "reminders_seconds": [120]},
    {"escalate_after_seconds": 300, "escalate_to": {"groups": ["leads"]}, "follow_up_at": "2026-03-02T10:00:00Z"},
    {
        "candidates": {"users": ["ann"]},
        "stages": [{"name": "legal", "candidates": {"groups": ["legal"]}}, {"name": "lead"}],
        "priority": 10,
    },
)
"""Rules of reviews, one of each form."""

_WHEN = st.sampled_from([None, "2026-03-02T09:30:00Z", "2026-03-03T09:00:00Z"])
_ASKS: st.SearchStrategy[Ask] = st.one_of(
    st.sampled_from([claim(), release(), give_back(), keep_draft(), drop_draft(), comment(), approve(), reject()]),
    st.sampled_from(
        [pause(), resume(), escalate(), executed(), edit({"prompt": "a blue boat"}), assign(group="leads")]
    ),
    st.sampled_from(["ann", "bo", "di"]).map(lambda user: assign(user=user, override=True, reason="holiday")),
    st.sampled_from(["ann", "cy"]).map(delegate),
    st.builds(lambda priority, due: reschedule(priority=priority, due_at=due), st.integers(0, 100), _WHEN),
)
_STEPS = st.tuples(st.sampled_from([ANN, BO, CY, DI, ADAM, RITA]), _ASKS, st.sampled_from([1, 60, 400, 4000]))


@st.composite
def task_stories(draw: st.DrawFn, steps: int = 12) -> Story:
    """Draw a run under rules and what people and the clock do to it. A command that is refused changes nothing."""
    two_steps = ("payload_review", "response_review")
    story = under(draw(st.sampled_from(RULES)), allowed_steps=two_steps, on_timeout="escalate")
    for person, ask, seconds in draw(st.lists(_STEPS, max_size=steps)):
        story = story.later(seconds)
        while (due := story.due) is not None and due.at <= story.at:
            story = story.given(again(due))
        story = story.when(ask if ask.kind is RecordExecution else by(person, ask)).story
    return story
