"""Each plan leads the core to an end that it names, and its requests to outcomes that it allows. No law notices anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from chaos.clients.desk import Pause, Until
from chaos.clients.people import GUEST, PEOPLE
from chaos.clients.plans.plan import Plan
from chaos.clients.plans.rotation import PLANS, plan_of
from chaos.clients.requests import Answer, Request
from chaos.clients.stories import RunStory
from chaos.verdict import laws
from chaos.verdict.laws import Case
from contracts.identity import Principal
from contracts.runs import commands as c
from contracts.runs.commands import command_id
from contracts.runs.decisions import BODIES, CommandHead, command_of
from contracts.runs.tasks.bodies import TASK_BODIES, CommentBody, DraftBody, task_command_of
from orchestrator.runs.state import OrderKind
from orchestrator.runs.tasks.membership import Membership, Person
from testkit.runs import commands
from testkit.runs.specification import Ask, Story, given

LAWS = (laws.ended, laws.once, laws.gapless, laws.answers, laws.seen, laws.called, laws.held, laws.timely, laws.voted)


@pytest.mark.parametrize("by_key", [False, True], ids=["by actor", "by key"])
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.steps.__name__)
def test_a_plan_leads_to_its_end(plan: Plan, *, by_key: bool) -> None:
    """A plan that the core does not follow would be a breach in every experiment; one that needs keys has no part in others."""
    by_key = by_key or plan.by_key
    story = RunStory(5, "token", "session", plan=plan)
    start = story.begin()
    ask = commands.start({"prompt": story.prompt}, **start.body["hitl_config"]).but(actor=start.actor)
    core = given(ask.but(principal=_principal(start.actor, PEOPLE[start.actor])) if by_key else ask)
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


@pytest.mark.parametrize("by_key", [False, True])
def test_every_fifth_run_has_a_plan_and_each_plan_its_turn(*, by_key: bool) -> None:
    """The share stays the same, whatever a load begins with."""
    known = [plan for plan in PLANS if by_key or not plan.by_key]
    for turn in range(len(known)):
        plans = [plan_of(number, turn, by_key=by_key) for number in range(5 * len(known))]
        assert len({id(plan) for plan in plans if plan is not None}) == len(known)


def followed(story: RunStory, core: Story) -> Story:
    """Carry a plan out, step by step, while no time passes but what it waits for."""
    steps = story.steps(view_of(core)["checkpoint"])
    step = next(steps, None)
    while step is not None:
        answers: list[Answer] = []
        match step:
            case Until():
                while not step.holds(view_of(core)["checkpoint"]["task"]):
                    core = core.given(commands.again(core.due))
            case Pause(seconds=seconds):
                core = core.later(seconds)
            case requests:
                for request in requests:
                    core = told(story, core, request)
                answers = [request.answer for request in requests if request.answer is not None]
        try:
            step = steps.send(answers)
        except StopIteration:
            step = None
    return core


def told(story: RunStory, core: Story, request: Request) -> Story:
    """Let the core decide a request, and tell its client."""
    if request.action == "absence":
        request.answer = Answer(201, {**request.body, "from": core.at.isoformat()})
        return core
    if request.groups is not None:
        seen = Membership(frozenset(GUEST["roles"]), frozenset(request.groups))
        core = replace(core, known={Person("default", request.actor): seen})
    command = _command(story, core, request)
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


def _command(story: RunStory, core: Story, request: Request) -> c.Command:
    run_id, body, who = core.now.run_id, dict(request.body), None
    if core.history[0].principal is not None:
        rights = PEOPLE.get(request.actor) or {**GUEST, "groups": request.groups or ()}
        who = _principal(request.actor, rights, *_absent(story, request.actor, core.at))
    names = () if who is None else (who.subject,)
    cause = command_id("http", "default", *names, run_id, request.key)
    head = CommandHead(cause, run_id, core.at, request.actor, principal=who)
    match request.action:
        case "approve" | "edit" | "reject" | "pause" | "resume" as action:
            return command_of(action, BODIES[action].model_validate(body), head)
        case "bulk":
            return command_of("approve", BODIES["approve"].model_validate(body), head)
        case "comment":
            return c.AddComment(**head._asdict(), text=CommentBody.model_validate(body).text)
        case "draft":
            return c.KeepDraft(**head._asdict(), checkpoint_id=DraftBody.model_validate(body).checkpoint_id)
        case "renew" | "claim":
            return task_command_of(TASK_BODIES["claim"].model_validate(body), head)
        case "release" | "assign" | "delegate" | "return" | "escalate" | "reschedule" as action:
            return task_command_of(TASK_BODIES[action].model_validate(body), head)
        case _:
            raise AssertionError(request.action)


def _principal(who: str, rights: Mapping[str, Sequence[str]], *absent: str) -> Principal:
    """Return who acts, as its credential says."""
    members = {"tenant": "default", "subject": who, "credential": f"key:{who}", "on_behalf_of": absent}
    return Principal.model_validate(members | {"groups": (), **rights})


def _absent(story: RunStory, who: str, at: datetime) -> list[str]:
    """Return whom a person stands in for at a time."""
    said = [{**absence.body, **absence.answer.body} for absence in story.absences if absence.answer is not None]
    return [
        one["person"]
        for one in said
        if one["substitute"] == who and datetime.fromisoformat(one["from"]) <= at < datetime.fromisoformat(one["until"])
    ]


def view_of(core: Story) -> dict[str, Any]:
    """Return the view as an answer holds it."""
    assert core.view is not None
    return core.view.model_dump(mode="json")
