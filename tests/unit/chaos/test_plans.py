"""Each plan leads the core to an end that it names, and its requests to outcomes that it allows. No law notices anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaos.clients.desk import Pause, Until
from chaos.clients.plans import PLANS, Plan
from chaos.clients.requests import Answer, Request
from chaos.clients.stories import RunStory, plan_of
from chaos.verdict import laws
from chaos.verdict.laws import Case
from contracts.runs import commands as c
from contracts.runs.commands import command_id
from contracts.runs.decisions import BODIES, CommandHead, command_of
from contracts.runs.tasks.bodies import TASK_BODIES, CommentBody, DraftBody, task_command_of
from orchestrator.runs.state import OrderKind
from testkit.runs import commands
from testkit.runs.specification import Ask, Story, given
from testkit.runs.tasks import time_comes

LAWS = (laws.ended, laws.once, laws.gapless, laws.answers, laws.seen, laws.called, laws.held, laws.timely, laws.voted)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.steps.__name__)
def test_a_plan_leads_to_its_end(plan: Plan) -> None:
    """A plan that the core does not follow would be a breach in every experiment."""
    story = RunStory(5, "token", "session", plan=plan)
    start = story.begin()
    core = given(commands.start({"prompt": story.prompt}, **start.body["hitl_config"]).but(actor=start.actor))
    start.answer = Answer(201, view_of(core))
    core = core.given(commands.prepared())
    story.seen.add(view_of(core)["checkpoint"]["checkpoint_id"])
    core = followed(story, core)
    while not core.now.view.is_over:
        is_check = core.attempt.kind is OrderKind.CHECK
        core = core.given(commands.checked() if is_check else commands.executed())
    story.state = core.now.view.state.value
    story.pushed = {event.version for event in core.history}
    case = Case(story, core.history, calls=int(story.state == "completed"))
    assert [breach for law in LAWS for breach in law(case)] == []


def test_every_fifth_run_has_a_plan_and_each_plan_its_turn() -> None:
    """The share stays the same, whatever a load begins with."""
    for turn in range(len(PLANS)):
        plans = [plan_of(number, turn) for number in range(5 * len(PLANS))]
        assert [plan for plan in plans if plan is not None] != []
        assert len({id(plan) for plan in plans if plan is not None}) == len(PLANS)


def followed(story: RunStory, core: Story) -> Story:
    """Carry a plan out, step by step, while no time passes but what it waits for."""
    steps = story.steps(view_of(core)["checkpoint"])
    step = next(steps, None)
    while step is not None:
        answers: list[Answer] = []
        match step:
            case Until():
                while not step.holds(view_of(core)["checkpoint"]["task"]):
                    core = core.given(time_comes())
            case Pause(seconds=seconds):
                core = core.later(seconds)
            case requests:
                for request in requests:
                    core = told(core, request)
                answers = [request.answer for request in requests if request.answer is not None]
        try:
            step = steps.send(answers)
        except StopIteration:
            step = None
    return core


def told(core: Story, request: Request) -> Story:
    """Let the core decide a request, and tell its client."""
    command = _command(core, request)
    outcome = core.when(Ask(type(command), lambda _: dict(command)))
    after = replace(outcome.story, at=core.at)
    request.channel = "http"
    if outcome.refusal is not None:
        request.answer = Answer(409, {"code": outcome.refusal.code})
    elif request.action == "comment":
        request.answer = Answer(201, {"comment_id": str(command.command_id), "text": request.key})
    elif request.action == "draft":
        request.answer = Answer(200, {"checkpoint_id": request.checkpoint_id, "action": request.body["action"]})
    else:
        request.answer = Answer(200, view_of(after))
    return after


def _command(core: Story, request: Request) -> c.Command:
    run_id, body = core.now.run_id, dict(request.body)
    head = CommandHead(command_id("http", "default", run_id, request.key), run_id, core.at, request.actor)
    match request.action:
        case "approve" | "edit" | "reject" as action:
            return command_of(action, BODIES[action].model_validate(body), head)
        case "bulk":
            return command_of("approve", BODIES["approve"].model_validate(body), head)
        case "comment":
            return c.AddComment(**head._asdict(), text=CommentBody.model_validate(body).text)
        case "draft":
            return c.KeepDraft(**head._asdict(), checkpoint_id=DraftBody.model_validate(body).checkpoint_id)
        case "renew" | "claim":
            return task_command_of(TASK_BODIES["claim"].model_validate(body), head)
        case "release" | "assign" | "delegate" | "return" | "escalate" as action:
            return task_command_of(TASK_BODIES[action].model_validate(body), head)
        case _:
            raise AssertionError(request.action)


def view_of(core: Story) -> dict[str, Any]:
    """Return the view as an answer holds it."""
    assert core.view is not None
    return core.view.model_dump(mode="json")
