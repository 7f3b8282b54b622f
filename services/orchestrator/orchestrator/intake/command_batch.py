"""One batch of commands, from records to what is written and what is sent. The rules are the core's; here is their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import structlog
from pydantic import ValidationError
from pydantic_core import to_json

from contracts.message import Message
from contracts.providers.call_stream import StopCall
from contracts.runs.commands import AnyCommand, FromClock, parse_command
from contracts.runs.outcomes import Accepted, Outcome, Refused
from contracts.runs.views import RunView
from contracts.topics import EVENTS, MAX_EVENT_BYTES, OUTCOMES, STOPS, WORK
from messaging.dead_letters import dead_letter
from messaging.records import Outgoing, RawRecord
from orchestrator.ports import Recorded, RefusedRequest
from orchestrator.runs import ORDERING, Deadline, Refusal, Run, deadline, fold, orders, unfold
from orchestrator.runs.refusals import IdempotencyKeyReused, PayloadTooLarge, Undecidable

_log = structlog.get_logger(__name__)


class Taken(NamedTuple):
    """A record of `run.commands` and the command it holds, or why it holds none."""

    record: RawRecord
    command: AnyCommand | None
    error: Exception | None = None


class ForeignKey(Exception):
    """The record's key is not its run's id, so that another partition's owner decides on the run."""


def read(record: RawRecord) -> Taken:
    """Read one record; a malformed one is answered with a dead letter and harms no other."""
    try:
        command = parse_command(record.value or b"")
    except ValidationError as error:
        return Taken(record, None, error)
    if record.key != _key(command.run_id):
        return Taken(record, None, ForeignKey(ForeignKey.__doc__))
    return Taken(record, command)


def dead(taken: Taken) -> Outgoing:
    """Return the dead letter of a record that holds no command."""
    return dead_letter(taken.record, taken.error or ValueError("not a command"))


@dataclass(slots=True)
class Decisions:
    """What a batch decides, in the order of its commands, and what is sent once it is written.

    `runs` is the state of every run concerned, `refused` what earlier refusals answered.
    """

    runs: dict[UUID, Run]
    refused: dict[UUID, RefusedRequest]
    now: datetime
    events: list[Recorded] = field(default_factory=list)
    refusals: list[RefusedRequest] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    asked_again: list[AnyCommand] = field(default_factory=list)
    moved_on: dict[UUID, Run] = field(default_factory=dict)

    def take(self, taken: Taken) -> None:
        """Decide one command after those before it."""
        command = taken.command
        if command is None:
            self.outgoing.append(dead(taken))
            return
        known = self.refused.get(command.command_id)
        if known is not None:
            self._answer(command, refused_before(known, command))
            return
        try:
            self._decide(command, taken.record.key)
        except Refusal as refusal:
            self._refuse(command, refusal)
        except Exception as error:  # a fault of ours: a person finds the command, its partition goes on
            _log.exception("a command could not be decided", kind=command.kind, run_id=str(command.run_id))
            self.outgoing.append(dead_letter(taken.record, error))
            self._refuse(command, Undecidable())

    def _decide(self, command: AnyCommand, key: bytes | None) -> None:
        run = self.runs.get(command.run_id)
        story = unfold(self._stamped(command, run), run)
        if not story.events:
            self.asked_again.append(command)
            return
        recorded = [Recorded(event, event.to_bytes()) for event in story.events]
        if any(len(record.body) > MAX_EVENT_BYTES for record in recorded):
            raise PayloadTooLarge
        run = self.runs[command.run_id] = self.moved_on[command.run_id] = story.run
        self.events += recorded
        self.outgoing += [event_record(record, key) for record in recorded]
        if command.reply_to is not None:
            self._answer(command, Accepted(command_id=command.command_id, run_id=run.run_id, view=run.view))

    def _stamped(self, command: AnyCommand, run: Run | None) -> AnyCommand:
        # One clock for all: leases and time limits count from when a command is taken in, however long it lay in Kafka.
        # Time never runs backwards within a run, nor before the time that a deadline was set for.
        at = self.now
        if run is not None:
            at = max(at, run.view.updated_at)
        if isinstance(command, FromClock):
            at = max(at, command.at)
        return command.changed({"at": at})

    def _refuse(self, command: AnyCommand, refusal: Refusal) -> None:
        _log.debug("refused", kind=command.kind, run_id=str(command.run_id), code=refusal.code, reason=refusal.message)
        outcome = refusal_outcome(command, refusal)
        if refusal.remembered:
            known = self.refused[command.command_id] = RefusedRequest(outcome, command.request_sha256)
            self.refusals.append(known)
        self._answer(command, outcome)

    def _answer(self, command: AnyCommand, outcome: Outcome) -> None:
        self.outgoing += outcome_records(command, outcome)

    def orders(self) -> list[Outgoing]:
        """Return the work that follows, for the runs as they stand after the whole batch."""
        return [
            record
            for recorded in self.events
            if type(recorded.event.data) in ORDERING
            for record in order_records(recorded, self.runs[recorded.event.run_id])
        ]

    def deadlines(self) -> list[Deadline]:
        """Return the next time that each run touched waits for."""
        return [deadline(run) for run in self.moved_on.values()]


def refusal_outcome(command: AnyCommand, refusal: Refusal) -> Refused:
    """Return a refusal as it is answered."""
    return Refused(
        command_id=command.command_id,
        run_id=command.run_id,
        code=refusal.code,
        message=refusal.message,
        details=refusal.details,
    )


def refused_before(known: RefusedRequest, command: AnyCommand) -> Refused:
    """Return the recorded answer to a command that was refused before; another body with its key is refused as such."""
    if known.request_sha256 != command.request_sha256:
        return refusal_outcome(command, IdempotencyKeyReused())
    return known.outcome


def recall(command: AnyCommand, history: Sequence[Recorded], known: RefusedRequest | None) -> Iterator[Outgoing]:
    """Return again what a command that was decided before made known: its events, orders still awaited, its outcome.

    `history` is the whole of its run. Nothing is decided.
    """
    run = fold(recorded.event for recorded in history)
    if run is not None and command.command_id in run.answered:
        for recorded in history:
            if recorded.event.cause == command.command_id:
                yield event_record(recorded)
                yield from order_records(recorded, run)
        yield from outcome_records(command, accepted_before(command, history, run))
    elif known is not None:
        yield from outcome_records(command, refused_before(known, command))


def accepted_before(command: AnyCommand, history: Sequence[Recorded], run: Run) -> Outcome:
    """Return the recorded answer to a command that took effect before: the view that it led to then."""
    answered = run.answered[command.command_id]
    if answered.request_sha256 != command.request_sha256:
        return refusal_outcome(command, IdempotencyKeyReused())
    then = fold(recorded.event for recorded in history if recorded.event.version <= answered.version)
    view: RunView = then.view if then else run.view
    return Accepted(command_id=command.command_id, run_id=command.run_id, view=view)


def event_record(recorded: Recorded, key: bytes | None = None) -> Outgoing:
    """Return an event as it goes on `run.events`; `key` is its run's, where it is at hand."""
    return Outgoing(EVENTS.name, key or _key(recorded.event.run_id), recorded.body, recorded.event.headers())


def order_records(recorded: Recorded, run: Run) -> list[Outgoing]:
    """Return the orders that follow from an event for the run as it is now."""
    return [
        Outgoing(STOPS.name if isinstance(order, StopCall) else WORK.name, _key(run.run_id), _json(order))
        for order in orders(recorded.event.data, run)
    ]


def outcome_records(command: AnyCommand, outcome: Outcome) -> list[Outgoing]:
    """Return the outcome for whoever waits for it, on the partition that the command names."""
    if command.reply_to is None:
        return []
    headers = [
        ("command_id", command.command_id.bytes),
        ("request_sha256", (command.request_sha256 or "").encode()),
        ("content-type", b"application/json"),
    ]
    return [Outgoing(OUTCOMES.name, _key(command.run_id), _json(outcome), headers, partition=command.reply_to)]


def _key(run_id: UUID) -> bytes:
    return str(run_id).encode()


def _json(message: Message) -> bytes:
    return to_json(message)
