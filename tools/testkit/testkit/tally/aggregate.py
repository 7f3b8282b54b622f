"""The tally as the orchestrator hosts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from pydantic_core import to_json

from contracts.message import Message
from contracts.notices import Parent, child_id, start_id
from contracts.runs.commands import StartRun
from contracts.topics import COMMANDS as RUN_COMMANDS
from messaging.records import Outgoing, key_of
from orchestrator.aggregate import Aggregate, Deadline, Due, Reply
from testkit.tally import messages as m
from testkit.tally.rules import Tally, decide, fold

ASK_AGAIN = "ask-again.v1"


def start_of(tally: Tally, path: str) -> StartRun:
    """Return the command that starts a child. Sent again, it is the same command, and the child tells again how it ended."""
    run_id = child_id(tally.stream_id, path)
    return StartRun(
        command_id=start_id(run_id),
        run_id=run_id,
        tenant=tally.tenant,
        at=tally.updated_at,
        actor="tally",
        request=tally.request,
        parent=Parent(topic=m.COMMANDS.name, stream_id=tally.stream_id, path=path),
    )


def _follow(event: m.TallyEvent, tally: Tally) -> list[Outgoing]:
    if event.version != tally.asked:
        return []
    starts = [start_of(tally, path) for path in tally.open_children]
    return [Outgoing(RUN_COMMANDS.name, key_of(start.run_id), to_json(start)) for start in starts]


def _deadline(stream_id: UUID, tally: Tally) -> Deadline:
    if tally.closed:
        return Deadline(stream_id, None)
    return Deadline(stream_id, Due(ASK_AGAIN, tally.tenant, tally.ask_at, "children", tally.round))


def _command_of(stream_id: UUID, due: Due) -> m.AnyCommand:
    command_id = uuid5(stream_id, f"ask again {due.count}")
    return m.AskAgain(command_id=command_id, stream_id=stream_id, tenant=due.tenant, at=due.at, round=due.count)


def _accepted(command: m.AnyCommand, tally: Tally) -> Reply:
    outcome = m.Outcome(
        kind="tally-accepted.v1", command_id=command.command_id, stream_id=tally.stream_id, counts=tally.counts
    )
    return Reply(to_json(outcome))


def _refused(command: m.AnyCommand, code: str, message: str, details: Mapping[str, Any]) -> Message:
    del message, details
    return m.Outcome(kind="tally-refused.v1", command_id=command.command_id, stream_id=command.stream_id, code=code)


TALLY: Aggregate[m.AnyCommand, Tally] = Aggregate(
    name="tally",
    commands=m.COMMANDS,
    events=m.EVENTS,
    orders=(),
    group="orchestrator-tally",
    parse=m.parse_command,
    parse_event=m.TallyEvent.parse,
    stream_of=lambda command: command.stream_id,
    begins=lambda command: isinstance(command, m.OpenTally),
    is_from_clock=lambda command: isinstance(command, m.AskAgain),
    decide=lambda command, state, _: decide(command, state),
    fold=fold,
    following=frozenset((m.TallyOpened, m.ChildrenAsked)),
    follow=_follow,
    ordering_kinds=frozenset((ASK_AGAIN,)),
    deadline=_deadline,
    command_of=_command_of,
    accepted=_accepted,
    refused=_refused,
)
