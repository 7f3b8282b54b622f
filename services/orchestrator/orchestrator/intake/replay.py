"""Answers given again: a command that was decided before gets its recorded answer. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic_core import to_json

from messaging.records import Outgoing, key_of
from orchestrator.aggregate import Aggregate, C, Reply, S
from orchestrator.intake.records import event_record, outcome_records
from orchestrator.ports import StoredEvent, StoredRefusal
from orchestrator.refusals import IdempotencyKeyReused, Refusal


def refusal_outcome(aggregate: Aggregate[C, S], command: C, refusal: Refusal) -> bytes:
    """Return the outcome of a refused command."""
    return to_json(aggregate.refused(command, refusal.code, refusal.message, refusal.details))


def refused_before(aggregate: Aggregate[C, S], known: StoredRefusal, command: C) -> bytes:
    """Return the recorded outcome of a command that was refused before; another body with its key is refused as such."""
    if known.request_sha256 != command.request_sha256:
        return refusal_outcome(aggregate, command, IdempotencyKeyReused())
    return known.outcome


def accepted_before(aggregate: Aggregate[C, S], command: C, history: Sequence[StoredEvent], state: S) -> Reply:
    """Return the recorded answer to a command that took effect before: the state that it led to then."""
    answered = state.answered[command.command_id]
    if answered.request_sha256 != command.request_sha256:
        return Reply(refusal_outcome(aggregate, command, IdempotencyKeyReused()))
    then = aggregate.fold(stored.event for stored in history if stored.event.version <= answered.version)
    return aggregate.accepted(command, then or state)


def answer_again(aggregate: Aggregate[C, S], command: C, history: Sequence[StoredEvent]) -> Iterator[Outgoing]:
    """Return the outcome of a command that took effect before, and the notices that it owes. `history` is the whole of its stream."""
    state = aggregate.fold(stored.event for stored in history)
    if state is None or command.command_id not in state.answered:
        return
    if command.reply_to is not None:
        reply = accepted_before(aggregate, command, history, state)
        yield from outcome_records(command, key_of(aggregate.stream_of(command)), reply)
    yield from aggregate.notify(command, state, None)


def replay(
    aggregate: Aggregate[C, S], command: C, history: Sequence[StoredEvent], known: StoredRefusal | None
) -> Iterator[Outgoing]:
    """Return all that a decided command published: its events, what still follows from them, its outcome and notices."""
    key = key_of(aggregate.stream_of(command))
    state = aggregate.fold(stored.event for stored in history)
    if state is not None and command.command_id in state.answered:
        for stored in history:
            if stored.event.cause == command.command_id:
                yield event_record(aggregate, stored, key)
                yield from aggregate.follow(stored.event, state)
        yield from answer_again(aggregate, command, history)
    elif known is not None:
        yield from outcome_records(command, key, Reply(refused_before(aggregate, known, command)))
        yield from aggregate.notify(command, state, known.outcome)
