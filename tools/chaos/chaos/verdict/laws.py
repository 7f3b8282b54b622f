"""The laws, one function each, over a story, its history in the ledger and the provider's calls. Pure; each yields breaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from chaos.clients.requests import Request
from chaos.clients.socket_watcher import OF_TASK
from chaos.clients.stories import RunStory
from chaos.verdict import identities, task_laws, time_laws
from chaos.verdict.effects import effects_of, is_of, times_effective, trace_of
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, project
from orchestrator.runs import fold
from testkit.runs.invariants import check_history, check_run

LAWS = {
    "ended": "every accepted run reaches its end",
    "once": "every decision took effect exactly once",
    "gapless": "histories are gapless",
    "answers": "every answer agrees with the ledger",
    "views": "the read model equals one rebuilt from nothing",
    "seen": "every approval request and every event of a task was seen by its watcher",
    "called": "the provider was called once per approved call",
    "held": "one person at a time held a task, and each claim ended once",
    "timely": "each reminder, missed time and escalation came once, and not before its time",
    "voted": "each person's vote counted once, and each decision was allowed",
}


@dataclass(frozen=True)
class Case:
    """One run: its clients' requests and answers, its history, and how often the provider was called with its prompt."""

    story: RunStory
    history: Sequence[RunEvent]
    calls: int


def ended(case: Case) -> Iterator[str]:
    """Check that a started run has ended, in the state that was decided."""
    story = case.story
    start = story.start
    if start.answer is None:
        yield f"{story.token}: no answer says whether it was started, sent {start.sent} times"
        return
    view = _view(case.history)
    state = None if view is None else view.state.value
    if state not in story.ends:
        yield f"{story.token} {story.run_id}: is {state or 'missing'} and not {' or '.join(story.ends)}"
    if story.state not in story.ends or story.state != state:
        yield f"{story.token} {story.run_id}: its watcher was told {story.state}, and it is {state}"


def once(case: Case) -> Iterator[str]:
    """Check one effect of each request that a client was told was accepted, and none of any other."""
    for request in case.story.requests:
        effects, wanted = times_effective(request, case.history), int(request.leaves_event)
        if effects != wanted and not (request.action == "renew" and effects < wanted):
            yield f"{request.key}: {effects} effects and not {wanted}"
    known = {request.key for request in case.story.requests}
    traces = [trace for event in case.history if (trace := trace_of(event)) is not None]
    yield from (f"{case.story.token}: {trace} was not decided by a client" for trace in traces if trace not in known)


def gapless(case: Case) -> Iterator[str]:
    """Check versions without gaps, and the core's invariants on the folded run."""
    versions = [event.version for event in case.history]
    if versions != list(range(1, len(versions) + 1)):
        yield f"{case.story.token}: versions {versions}"
        return
    run, view = fold(case.history), _view(case.history)
    if run is None or view is None:
        return
    try:
        check_run(run, view)
        check_history(case.history, run)
    except AssertionError as broken:
        yield f"{case.story.token}: {broken}"


def answers(case: Case) -> Iterator[str]:
    """Check that each request has its expected answer, and that the ledger agrees."""
    for request in case.story.requests:
        answer = request.answer
        if answer is None:
            yield f"{request.key}: no answer, sent {request.sent} times; last was {request.answers[-1:]}"
        elif answer.outcome not in request.allowed:
            yield f"{request.key}: {answer} and not {' or '.join(request.allowed)}"
        elif answer.accepted:
            yield from _agrees(request, answer.body, case.history)
        yield from (f"{request.key}: was answered {answer}" for answer in request.answers if answer.status == 500)


def seen(case: Case) -> Iterator[str]:
    """Check that every opened checkpoint was pushed to the watcher, and every event of a task that no snapshot stood in for."""
    story = case.story
    expired = {event.data.checkpoint_id for event in case.history if isinstance(event.data, e.CheckpointExpired)}
    for event in case.history:
        match event.data:
            case e.CheckpointOpened(checkpoint_id=checkpoint_id, step=step):
                # One that was over by itself before its watcher was back stands in no snapshot.
                if str(checkpoint_id) not in story.seen and checkpoint_id not in expired:
                    yield f"{story.token}: {step} was not pushed"
            case _ if event.kind.startswith(OF_TASK) and not story.caught_up and event.version not in story.pushed:
                yield f"{story.token}: {event.kind} at version {event.version} was not pushed"


def held(case: Case) -> Iterator[str]:
    """Check the claims."""
    yield from (f"{case.story.token}: {breach}" for breach in task_laws.held(case.history))


def timely(case: Case) -> Iterator[str]:
    """Check reminders, missed times and escalations."""
    yield from (f"{case.story.token}: {breach}" for breach in time_laws.timely(case.history))


def voted(case: Case) -> Iterator[str]:
    """Check the votes, the decisions, and that all who acted were who they were said to be."""
    found = chain(
        task_laws.voted(case.history),
        identities.identified(case.history, case.story.requests),
        identities.stood_in(case.history, case.story.absences),
    )
    yield from (f"{case.story.token}: {breach}" for breach in found)


def called(case: Case) -> Iterator[str]:
    """Check one call for the approved payload, and at most one more for each retry by a person."""
    retries = sum(
        isinstance(event.data, e.RunRetried) and _was_called(case.history[:index])
        for index, event in enumerate(case.history)
    )
    succeeded = sum(isinstance(event.data, e.CallSucceeded) for event in case.history)
    approved = any(isinstance(event.data, e.CallOrdered) for event in case.history)
    if case.calls > approved + retries:
        yield f"{case.story.token}: {case.calls} calls for {int(approved)} approval and {retries} retries"
    if succeeded > case.calls or succeeded > 1:
        yield f"{case.story.token}: {succeeded} answers to {case.calls} calls"


def retries_of(case: Case) -> int:
    """Return the number of retries by a person."""
    return sum(request.action == "retry" for request in case.story.requests)


def _agrees(request: Request, told: dict[str, Any], history: Sequence[RunEvent]) -> Iterator[str]:
    effects = effects_of(request, history)
    if request.action == "comment":
        added = [(str(event.data.comment_id), event.data.text) for event in effects]  # type: ignore[attr-defined]
        if added != [(told["comment_id"], request.key)]:
            yield f"{request.key}: was told {told}; the ledger has {added}"
    elif request.action == "absence":
        if (told["person"], told["substitute"]) != (request.body["person"], request.body["substitute"]):
            yield f"{request.key}: was told {told}"
    elif request.action == "draft":
        if (told["checkpoint_id"], told["action"]) != (request.checkpoint_id, request.body["action"]):
            yield f"{request.key}: was told {told}"
    else:
        yield from _agrees_with_view(request, told, history)
    if request.action != "start":
        yield from (
            f"{request.key}: left {event.kind} by {event.actor}" for event in effects if not is_of(request, event)
        )


def _agrees_with_view(request: Request, view: dict[str, Any], history: Sequence[RunEvent]) -> Iterator[str]:
    then = _view(history[: view["version"]])
    if then is None or view["version"] > len(history):
        yield f"{request.key}: was told version {view['version']}, which does not exist"
    elif request.channel == "http" and then.model_dump(mode="json") != view:
        yield f"{request.key}: was told {view}; the ledger has {then.model_dump(mode='json')}"
    elif request.channel == "socket" and then.state.value != view["state"]:
        yield f"{request.key}: was told {view['state']}; the ledger has {then.state}"


def _was_called(history: Sequence[RunEvent]) -> bool:
    return any(isinstance(event.data, e.CallOrdered) for event in history)


def _view(history: Sequence[RunEvent]) -> RunView | None:
    view: RunView | None = None
    for event in history:
        view = project(view, event)
    return view
