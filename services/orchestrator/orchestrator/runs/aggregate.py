"""The run as the orchestrator hosts it: its topics and functions as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from contracts.message import Message
from contracts.notices import ChildEnded
from contracts.providers.call_stream import AnyStop
from contracts.runs import commands as c
from contracts.runs.outcomes import Accepted, Refused
from contracts.runs.run_event import RunEvent
from contracts.topics import COMMANDS, EVENTS, STOPS, WORK
from messaging.records import Outgoing, key_of
from orchestrator.aggregate import Aggregate, Deadline, Facts, Reply
from orchestrator.runs.decide import unfold
from orchestrator.runs.evolve import fold
from orchestrator.runs.notices import ENDING, end_notice, refusal_notice
from orchestrator.runs.react import ORDERING, ORDERING_KINDS, command_of, deadline, orders
from orchestrator.runs.state import Run
from orchestrator.runs.tasks.membership import voters


def _decide(command: c.AnyCommand, run: Run | None, facts: Facts) -> tuple[Sequence[RunEvent], Run]:
    commit = unfold(command, run, facts)
    return commit.events, commit.run


def _follow(event: Any, run: Run) -> list[Outgoing]:
    key = key_of(run.run_id)
    following = [
        Outgoing(STOPS.name if isinstance(order, AnyStop) else WORK.name, key, to_json(order))
        for order in orders(event.data, run)
    ]
    if run.parent is not None and event.version == run.ended:
        following += _sent(end_notice(run), run.parent.topic)
    return following


def _notify(command: c.AnyCommand, run: Run | None, refused: bytes | None) -> list[Outgoing]:
    if not isinstance(command, c.StartRun) or command.parent is None:
        return []
    if refused is not None and (run is None or run.parent != command.parent):
        return _sent(refusal_notice(command, refused), command.parent.topic)
    # A start of the child that runs already, refused or not, tells how the child stands: nothing while it goes on.
    return [] if run is None else _sent(end_notice(run), command.parent.topic)


def _parent_topic(command: c.AnyCommand) -> str | None:
    return command.parent.topic if isinstance(command, c.StartRun) and command.parent is not None else None


def _sent(notice: ChildEnded | None, topic: str) -> list[Outgoing]:
    return [] if notice is None else [Outgoing(topic, key_of(notice.stream_id), to_json(notice))]


def _accepted(command: c.AnyCommand, run: Run) -> Reply:
    return Reply(*Accepted(command_id=command.command_id, run_id=run.run_id, view=run.view).to_record())


def _refused(command: c.AnyCommand, code: str, message: str, details: Mapping[str, Any]) -> Message:
    return Refused(
        command_id=command.command_id, run_id=command.run_id, code=code, message=message, details=dict(details)
    )


def _deadline(_: UUID, run: Run) -> Deadline:
    return deadline(run)


RUN: Aggregate[c.AnyCommand, Run] = Aggregate(
    name="run",
    commands=COMMANDS,
    events=EVENTS,
    orders=(WORK, STOPS),
    group="orchestrator",
    parse=c.parse_command,
    parse_event=RunEvent.parse,
    stream_of=lambda command: command.run_id,
    begins=lambda command: isinstance(command, c.StartRun),
    is_from_clock=lambda command: isinstance(command, c.FromClock),
    decide=_decide,
    inquire=voters,
    fold=fold,
    following=ORDERING | ENDING,
    follow=_follow,
    ordering_kinds=ORDERING_KINDS,
    parent_topic_of=_parent_topic,
    notify=_notify,
    deadline=_deadline,
    command_of=command_of,
    accepted=_accepted,
    refused=_refused,
)
"""One effect on the world and its reviews."""
