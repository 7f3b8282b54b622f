"""The query of the socket's address: which runs a client watches, and where it continues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ValidationError
from pydantic_core import PydanticCustomError

from chassis.http.queries import REPEATED, repeated
from contracts.json_pointer import pointer
from contracts.message import Identifier, Message
from notifier.hub.client import Filters
from notifier.protocol.caller import Caller
from notifier.protocol.messages import FROM_SERVER, Fault, MessageInvalid
from notifier.protocol.outcomes import invalid_message

_TYPES = frozenset(message.model_fields["type"].default for message in FROM_SERVER)


def _types(names: str) -> str:
    if unknown := [name for name in names.split(",") if name not in _TYPES]:
        raise PydanticCustomError("type_unknown", "no message of type {unknown}", {"unknown": repr(unknown[0][:100])})
    return names


class Subscription(Message):
    """The runs that a client watches. `cursor`: the last one that it got. `types`: the messages that are pushed, with commas between."""

    user_id: Identifier | None = None
    session_id: Identifier | None = None
    run_id: UUID | None = None
    cursor: str | None = None
    types: Annotated[str, AfterValidator(_types)] | None = None

    def pushes(self, message_type: str) -> bool:
        """Return whether messages of this type are pushed. The snapshot and answers to the client are not pushed: they always come."""
        return self.types is None or message_type in self.types.split(",")

    def filters(self, caller: Caller) -> Filters:
        """Return the hub's filters: what the client asked for, of what it may see."""
        return Filters(
            run_id=None if self.run_id is None else str(self.run_id),
            session_id=self.session_id,
            user_id=self.user_id,
            tenant=caller.tenant,
            reader=caller.reader,
        )


def read_subscription(query: Sequence[tuple[str, str]]) -> Subscription:
    """Read a query. A parameter without a value is ignored, an unknown or repeated one refused. Raises MessageInvalid with every fault."""
    if names := repeated(query):
        raise MessageInvalid(*(Fault(path=pointer([name]), code="repeated", message=REPEATED) for name in names))
    try:
        return Subscription.model_validate({name: value for name, value in query if value}, extra="forbid")
    except ValidationError as error:
        raise invalid_message(error, Subscription) from None
