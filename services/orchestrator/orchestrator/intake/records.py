"""The records that a batch sends: events, outcomes, dead letters. What follows from an event is the aggregate's to say."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, NamedTuple

from contracts.topics import OUTCOMES
from messaging.dead_letters import dead_letter
from messaging.records import Outgoing, RawRecord, key_of
from orchestrator.aggregate import Aggregate, C, Command, Reply, S
from orchestrator.ports import StoredEvent


class ParsedRecord(NamedTuple, Generic[C]):
    """A record of the aggregate's commands and the command it holds, or why it holds none."""

    record: RawRecord
    command: C | None
    error: Exception | None = None


class ForeignKey(Exception):
    """The record's key is not its stream's id, so another partition's owner decides on the stream."""


class UnknownParent(Exception):
    """The parent that is to hear of the child's end is none that is hosted here."""


def parse(aggregate: Aggregate[C, S], record: RawRecord, parents: Collection[str]) -> ParsedRecord[C]:
    """Read one record. A malformed one holds an error in place of a command and harms no other. `parents` are topics of parents."""
    try:
        command = aggregate.parse(record.value or b"")
    except ValueError as error:  # a ValidationError is one
        return ParsedRecord(record, None, error)
    if record.key != key_of(aggregate.stream_of(command)):
        return ParsedRecord(record, None, ForeignKey(ForeignKey.__doc__))
    if (parent := aggregate.parent_topic_of(command)) is not None and parent not in parents:
        return ParsedRecord(record, None, UnknownParent(UnknownParent.__doc__))
    return ParsedRecord(record, command)


def dead(parsed: ParsedRecord[C]) -> Outgoing:
    """Return the dead letter of a record that holds no command."""
    return dead_letter(parsed.record, parsed.error or ValueError("not a command"))


def event_record(aggregate: Aggregate[C, S], stored: StoredEvent, key: bytes | None = None) -> Outgoing:
    """Return an event as it is published; `key` is its stream's, where it is at hand."""
    return Outgoing(aggregate.events.name, key or key_of(stored.stream_id), stored.body, stored.event.headers())


def outcome_records(command: Command, key: bytes, reply: Reply) -> list[Outgoing]:
    """Return the answer for the sender that waits for it, on the partition that the command names."""
    if command.reply_to is None:
        return []
    headers = [
        ("command_id", command.command_id.bytes),
        ("request_sha256", (command.request_sha256 or "").encode()),
        ("content-type", b"application/json"),
        *reply.headers,
    ]
    return [Outgoing(OUTCOMES.name, key, reply.body, headers, partition=command.reply_to)]
