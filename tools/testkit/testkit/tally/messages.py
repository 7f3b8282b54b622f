"""Commands and events of the tally."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import Field, SerializeAsAny, TypeAdapter, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import to_json
from pydantic_core.core_schema import ValidationInfo

from contracts.message import Message, Timestamp
from contracts.notices import ChildEnded
from contracts.runs.requests import RunRequest
from contracts.topics import HOUR, PARTITIONS, Topic

COMMANDS = Topic("tally.commands", PARTITIONS, HOUR, "what can be asked of a tally, keyed by tally")
EVENTS = Topic("tally.events", PARTITIONS, HOUR, "what happened to tallies, keyed by tally")


class _Command(Message):
    command_id: UUID
    stream_id: UUID
    tenant: str = "default"
    at: Timestamp
    actor: str = "system"
    request_sha256: str | None = None
    reply_to: int | None = None


class OpenTally(_Command):
    """Start `children` runs of one request, and count how they end. Open children are asked about every `patience_seconds`."""

    kind: Literal["open-tally.v1"] = "open-tally.v1"
    children: Annotated[int, Field(ge=1, le=200)]
    request: RunRequest
    patience_seconds: float = 60


class AskAgain(_Command):
    """It is time to ask again how open children stand."""

    kind: Literal["ask-again.v1"] = "ask-again.v1"
    round: int


AnyCommand = OpenTally | AskAgain | ChildEnded

_COMMAND: TypeAdapter[AnyCommand] = TypeAdapter(Annotated[AnyCommand, Field(discriminator="kind")])


def parse_command(body: bytes) -> AnyCommand:
    """Read one record of `tally.commands`. Raises pydantic.ValidationError."""
    return _COMMAND.validate_json(body)


class Event(Message):
    """The facts of one event."""

    kind: ClassVar[str]


class TallyOpened(Event):
    """The children were started."""

    kind = "tally-opened.v1"
    children: int
    request: RunRequest
    patience_seconds: float
    ask_at: Timestamp


class ChildCounted(Event):
    """A child came to an end, or its start was refused."""

    kind = "child-counted.v1"
    path: str
    child_id: UUID
    state: str


class ChildrenAsked(Event):
    """The open children were asked again."""

    kind = "children-asked.v1"
    round: int
    ask_at: Timestamp


class TallyClosed(Event):
    """All children are counted."""

    kind = "tally-closed.v1"
    counts: dict[str, int]


KINDS: dict[str, type[Event]] = {event.kind: event for event in (TallyOpened, ChildCounted, ChildrenAsked, TallyClosed)}


class TallyEvent(Message):
    """An event in its place."""

    kind: str
    stream_id: UUID
    version: int
    at: Timestamp
    tenant: str
    cause: UUID
    request_sha256: str | None = None
    data: SerializeAsAny[Event]

    @field_validator("data", mode="wrap")
    @classmethod
    def _by_kind(cls, data: Any, _: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Event:
        return data if isinstance(data, Event) else KINDS[info.data["kind"]].model_validate(data)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read one record of `tally.events`."""
        return cls.model_validate_json(body)

    def to_bytes(self) -> bytes:
        """Return the bytes that are stored and published."""
        return to_json(self)

    def headers(self) -> list[tuple[str, bytes]]:
        """Return what readers filter by."""
        return [("kind", self.kind.encode()), ("tenant", self.tenant.encode())]


class Outcome(Message):
    """What became of a command."""

    kind: Literal["tally-accepted.v1", "tally-refused.v1"]
    command_id: UUID
    stream_id: UUID
    code: str | None = None
    counts: dict[str, int] = Field(default_factory=dict)
