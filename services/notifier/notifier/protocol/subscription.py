"""The query of the socket's address: which runs a client watches, and where it continues."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from pydantic import ValidationError

from contracts.message import Identifier, Message
from notifier.hub.client import Filters
from notifier.protocol.approvals import invalid_message


class Subscription(Message):
    """The runs that a client watches. `cursor`: the last one that it got."""

    user_id: Identifier | None = None
    session_id: Identifier | None = None
    run_id: UUID | None = None
    cursor: str | None = None

    def filters(self) -> Filters:
        """Return the hub's filters."""
        return Filters(
            run_id=None if self.run_id is None else str(self.run_id), session_id=self.session_id, user_id=self.user_id
        )


def read_subscription(query: Mapping[str, str]) -> Subscription:
    """Read a query. A parameter without a value is ignored, an unknown one refused. Raises MessageInvalid with every fault."""
    try:
        return Subscription.model_validate({name: value for name, value in query.items() if value}, extra="forbid")
    except ValidationError as error:
        raise invalid_message(error) from None
