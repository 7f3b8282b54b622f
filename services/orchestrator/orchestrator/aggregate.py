"""The seam: all that intake, cache, replay, deadlines, republishing and ledger know of an aggregate. Knows nothing of runs.

An aggregate is a value: its topics, how its commands and events are read, and its pure functions. The run is the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar
from uuid import UUID

from contracts.message import Message
from contracts.topics import Topic
from messaging.records import Outgoing


class Command(Protocol):
    """A command of any aggregate. `reply_to` is the partition of `run.outcomes` on which the sender waits."""

    @property
    def kind(self) -> str:
        """The kind's stable name."""

    @property
    def command_id(self) -> UUID:
        """The id; the same command delivered again has the same one."""

    @property
    def tenant(self) -> str:
        """The tenant that it speaks for."""

    @property
    def at(self) -> datetime:
        """When it was said."""

    @property
    def request_sha256(self) -> str | None:
        """The digest of the request's body, where an Idempotency-Key came with it."""

    @property
    def reply_to(self) -> int | None:
        """The partition of outcomes that is waited on, if any."""

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with other values."""


class Event(Protocol):
    """An event of any aggregate in its place."""

    @property
    def kind(self) -> str:
        """The kind's stable name."""

    @property
    def version(self) -> int:
        """Its place in the stream, counted from 1."""

    @property
    def tenant(self) -> str:
        """The tenant whose it is."""

    @property
    def cause(self) -> UUID:
        """The command that caused it."""

    @property
    def data(self) -> Any:
        """The facts."""

    def to_bytes(self) -> bytes:
        """Return the bytes that are stored and published."""

    def headers(self) -> list[tuple[str, bytes]]:
        """Return what readers filter by."""


class Reply(NamedTuple):
    """The outcome of a command as it is sent: its bytes, and what its asker is to know without reading them."""

    body: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Answered(NamedTuple):
    """A command that took effect: the version it led to, and the digest of the request it came from."""

    version: int
    request_sha256: str | None


class State(Protocol):
    """The state of one aggregate at one version."""

    @property
    def answered(self) -> Mapping[UUID, Answered]:
        """The commands that took effect, by id."""

    @property
    def updated_at(self) -> datetime:
        """When the last event happened: time never runs backwards within a stream."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself; such a state is not kept in memory."""


@dataclass(frozen=True, slots=True)
class Due:
    """What falls due at `at`: a command's kind, and what it is about: an id and a count that make it stale when they moved on."""

    kind: str
    tenant: str
    at: datetime
    about: str
    count: int


class Deadline(NamedTuple):
    """The next time at which something falls due for a stream; None clears it."""

    stream_id: UUID
    due: Due | None


Facts = Mapping[Hashable, Any]
"""What is known of things outside all streams, by what was asked for. What is not there is not known."""

C = TypeVar("C", bound=Command)
S = TypeVar("S", bound=State)


def _owe_nothing(command: object, state: object, refused: bytes | None) -> Sequence[Outgoing]:  # noqa: ARG001 - the form of `notify`
    return ()


def _ask_nothing(command: object, state: object) -> Iterable[Hashable]:  # noqa: ARG001 - the form of `inquire`
    return ()


def _no_parent(command: object) -> str | None:  # noqa: ARG001 - the form of `parent_topic_of`
    return None


@dataclass(frozen=True, slots=True)
class Aggregate(Generic[C, S]):
    """One kind of aggregate. All functions are pure; `decide` raises `Refusal`."""

    name: str
    """As the ledger's tables name it."""

    commands: Topic
    events: Topic
    orders: tuple[Topic, ...]
    """The topics of what follows, beside other aggregates' commands."""

    parse: Callable[[bytes], C]
    """Read one record of `commands`. Raises ValueError."""

    parse_event: Callable[[bytes], Any]
    """Read one stored event, of a known kind or not. Raises pydantic.ValidationError."""

    stream_of: Callable[[C], UUID]
    """The stream that a command is about; its text is the key of all records about it."""

    begins: Callable[[C], bool]
    """Whether a command begins a stream: then the stream is taken to be new and not loaded."""

    is_from_clock: Callable[[C], bool]
    """Whether a command says that a time has come: it is decided at that time or later."""

    decide: Callable[[C, S | None, Facts], tuple[Sequence[Event], S]]
    """The events that a command causes and the state after them; no events if it took effect before, or if all is so already."""

    fold: Callable[[Iterable[Any]], S | None]
    """The state that a history leads to. Never refuses."""

    group: str
    """The consumer group of `commands`: a rebalance of one aggregate's topic stops no other."""

    following: frozenset[type]
    """The types of event data from which records follow: `follow` returns nothing for all others."""

    follow: Callable[[Any, S], Sequence[Outgoing]]
    """Orders and notices that follow from an event for the state as it is now, so that an old event published again orders nothing twice."""

    ordering_kinds: frozenset[str]
    """The kinds of deadline of streams from which records follow: those that wait for others have nothing to be published again."""

    deadline: Callable[[UUID, S], Deadline]
    """The time that a stream waits for. A stream with open children has one: a notice that was lost with its log is asked for then."""

    command_of: Callable[[UUID, Due], C | None]
    """The command that says that something has fallen due; None for a kind that this version does not know."""

    accepted: Callable[[C, S], Reply]
    """The answer to a command that took effect, with the state as it was then."""

    refused: Callable[[C, str, str, Mapping[str, Any]], Message]
    """The outcome of a command that was refused: its code, message and details."""

    inquire: Callable[[C, S | None], Iterable[Hashable]] = _ask_nothing
    """What the decision on a command needs to know of things outside its stream. It is looked up before the batch."""

    parent_topic_of: Callable[[C], str | None] = _no_parent
    """The topic on which a command's parent wants to hear, if it has one: it must be that of a hosted aggregate's commands."""

    notify: Callable[[C, S | None, bytes | None], Sequence[Outgoing]] = _owe_nothing
    """Notices that the answer to a command owes: of a child that is over already, or whose start got this refused outcome."""


def topics_of(aggregates: Sequence[Aggregate[Any, Any]]) -> list[Topic]:
    """Return every topic that these aggregates read or write, outcomes aside."""
    return sorted(
        {topic for of in aggregates for topic in (of.commands, of.events, *of.orders)}, key=lambda topic: topic.name
    )
