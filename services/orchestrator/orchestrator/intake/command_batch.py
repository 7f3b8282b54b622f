"""One batch of commands, decided in order: what is written, and what is sent once it is written. The rules are the aggregate's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic
from uuid import UUID

import structlog

from contracts.topics import MAX_EVENT_BYTES, MAX_OUTCOME_BYTES
from messaging.dead_letters import dead_letter
from messaging.records import Outgoing, key_of
from orchestrator.aggregate import Aggregate, C, Deadline, Facts, Reply, S
from orchestrator.intake.records import ParsedRecord, dead, event_record, outcome_records
from orchestrator.intake.replay import refusal_outcome, refused_before
from orchestrator.ports import StoredEvent, StoredRefusal
from orchestrator.refusals import PayloadTooLarge, Refusal, Undecidable

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class CommandBatch(Generic[C, S]):
    """What a batch decides, in the order of its commands.

    `states` is the state of every stream concerned, `refused` the remembered refusals by command. `repeated` are commands that
    took effect before: their answers are looked up after the batch. `facts` are what the commands inquired about.
    """

    aggregate: Aggregate[C, S]
    states: dict[UUID, S]
    refused: dict[UUID, StoredRefusal]
    now: datetime
    facts: Facts = field(default_factory=dict)
    events: list[StoredEvent] = field(default_factory=list)
    refusals: list[StoredRefusal] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    repeated: list[C] = field(default_factory=list)
    changed: dict[UUID, S] = field(default_factory=dict)

    def add(self, parsed: ParsedRecord[C]) -> None:
        """Decide one command after those before it."""
        command = parsed.command
        if command is None:
            self.outgoing.append(dead(parsed))
            return
        known = self.refused.get(command.command_id)
        if known is not None:
            self._answer_refused(command, refused_before(self.aggregate, known, command), known.outcome)
            return
        try:
            self._decide(command)
        except Refusal as refusal:
            self._refuse(command, refusal)
        except Exception as error:  # a fault of ours: a person finds the command, its partition goes on
            _log.exception("a command could not be decided", kind=command.kind, stream=str(self._stream(command)))
            self.outgoing.append(dead_letter(parsed.record, error))
            self._refuse(command, Undecidable())

    def follow(self) -> list[Outgoing]:
        """Return what follows from the events, for the states as they stand after the whole batch."""
        following, follow = self.aggregate.following, self.aggregate.follow
        return [
            record
            for stored in self.events
            if type(stored.event.data) in following
            for record in follow(stored.event, self.states[stored.stream_id])
        ]

    def deadlines(self) -> list[Deadline]:
        """Return the next time that each changed stream waits for."""
        return [self.aggregate.deadline(stream_id, state) for stream_id, state in self.changed.items()]

    def _decide(self, command: C) -> None:
        aggregate, stream_id = self.aggregate, self._stream(command)
        before = self.states.get(stream_id)
        events, state = aggregate.decide(self._stamped(command, before), before, self.facts)
        if not events:
            if command.command_id in state.answered:
                self.repeated.append(command)
            else:  # nothing was to be changed: it is so already
                self.outgoing += self._outcome(command, state)
            return
        stored = [StoredEvent(stream_id, event, event.to_bytes()) for event in events]
        if any(len(one.body) > MAX_EVENT_BYTES for one in stored):
            raise PayloadTooLarge
        outcome = self._outcome(command, state)
        self.states[stream_id] = self.changed[stream_id] = state
        self.events += stored
        key = key_of(stream_id)
        self.outgoing += [event_record(aggregate, one, key) for one in stored]
        self.outgoing += outcome

    def _outcome(self, command: C, state: S) -> list[Outgoing]:
        """Return the answer that is waited for, if any. Raises PayloadTooLarge.

        Sending would fail again and again. Workers and the clock wait for no answer, so what they say is never refused by its size.
        """
        if command.reply_to is None:
            return []
        reply = self.aggregate.accepted(command, state)
        if len(reply.body) > MAX_OUTCOME_BYTES:
            raise PayloadTooLarge
        return outcome_records(command, key_of(self._stream(command)), reply)

    def _stamped(self, command: C, state: S | None) -> C:
        # One clock for all: leases and time limits count from when a command is taken in, however long it lay in Kafka.
        # Time never runs backwards within a stream, nor before the time that a deadline was set for.
        at = self.now
        if state is not None:
            at = max(at, state.updated_at)
        if self.aggregate.is_from_clock(command):
            at = max(at, command.at)
        return command.changed({"at": at})

    def _refuse(self, command: C, refusal: Refusal) -> None:
        stream_id = self._stream(command)
        _log.debug("refused", kind=command.kind, stream=str(stream_id), code=refusal.code, reason=refusal.message)
        outcome = refusal_outcome(self.aggregate, command, refusal)
        if refusal.remembered:
            known = StoredRefusal(command.command_id, stream_id, command.request_sha256, outcome)
            self.refused[command.command_id] = known
            self.refusals.append(known)
        self._answer_refused(command, outcome, outcome)

    def _answer_refused(self, command: C, outcome: bytes, recorded: bytes) -> None:
        stream_id = self._stream(command)
        self.outgoing += outcome_records(command, key_of(stream_id), Reply(outcome))
        self.outgoing += self.aggregate.notify(command, self.states.get(stream_id), recorded)

    def _stream(self, command: C) -> UUID:
        return self.aggregate.stream_of(command)
