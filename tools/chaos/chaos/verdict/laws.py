"""The laws, one function each, over a story, its history in the ledger and the provider's calls. Pure; each yields breaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.clients.stories import Request, RunStory
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
    "seen": "every approval request was seen by its watcher",
    "called": "the provider was called once per approved call",
}

_KINDS = {"approve": e.CheckpointApproved, "edit": e.CheckpointEdited, "reject": e.CheckpointRejected}
_DECIDED = (e.CheckpointApproved, e.CheckpointEdited, e.CheckpointRejected, e.RunRetried)


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
    if view is None or view.state.value != story.ends:
        yield f"{story.token} {story.run_id}: is {view.state if view else 'missing'} and not {story.ends}"
    if story.state != story.ends:
        yield f"{story.token} {story.run_id}: its watcher was told {story.state} and not {story.ends}"


def once(case: Case) -> Iterator[str]:
    """Check one effect of each accepted decision, and none of any other."""
    traces = [trace for event in case.history if (trace := _trace(event)) is not None]
    for request in case.story.requests:
        effects = traces.count(request.key) if request.action != "start" else _starts(case)
        wanted = 1 if request.expected == "accepted" and request.answer is not None else 0
        if effects != wanted:
            yield f"{request.key}: {effects} effects and not {wanted}"
    known = {request.key for request in case.story.requests}
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
        elif request.expected != "accepted":
            if answer.accepted or answer.body.get("code") != request.expected:
                yield f"{request.key}: {answer} and not {request.expected}"
        elif not answer.accepted:
            yield f"{request.key}: refused with {answer}"
        else:
            yield from _agrees(request, answer.body, case.history)
        yield from (f"{request.key}: was answered {answer}" for answer in request.answers if answer.status == 500)


def seen(case: Case) -> Iterator[str]:
    """Check that every opened checkpoint was pushed to the watcher."""
    for event in case.history:
        if isinstance(event.data, e.CheckpointOpened) and str(event.data.checkpoint_id) not in case.story.seen:
            yield f"{case.story.token}: {event.data.step} was not pushed"


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


def _agrees(request: Request, view: dict[str, Any], history: Sequence[RunEvent]) -> Iterator[str]:
    then = _view(history[: view["version"]])
    if then is None or view["version"] > len(history):
        yield f"{request.key}: was told version {view['version']}, which does not exist"
    elif request.channel == "http" and then.model_dump(mode="json") != view:
        yield f"{request.key}: was told {view}; the ledger has {then.model_dump(mode='json')}"
    elif request.channel == "socket" and then.state.value != view["state"]:
        yield f"{request.key}: was told {view['state']}; the ledger has {then.state}"
    if request.action == "start":
        return
    effect = next((event for event in history if _trace(event) == request.key), None)
    if effect is None:
        yield f"{request.key}: was accepted and left no event"
    elif effect.actor != request.actor or not isinstance(effect.data, _KINDS.get(request.action, e.RunRetried)):
        yield f"{request.key}: left {effect.kind} by {effect.actor}"


def _was_called(history: Sequence[RunEvent]) -> bool:
    return any(isinstance(event.data, e.CallOrdered) for event in history)


def _starts(case: Case) -> int:
    starts = [event.data.request.prompt for event in case.history if isinstance(event.data, e.RunStarted)]
    return starts.count(case.story.prompt)


def _trace(event: RunEvent) -> str | None:
    if not isinstance(event.data, _DECIDED):
        return None
    return event.data.reason if isinstance(event.data, e.RunRetried) else event.data.comment


def _view(history: Sequence[RunEvent]) -> RunView | None:
    view: RunView | None = None
    for event in history:
        view = project(view, event)
    return view
