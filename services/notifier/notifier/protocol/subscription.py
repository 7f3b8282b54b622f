"""What a client says in its handshake that it wants to hear of. No sockets here."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from pydantic import ValidationError

from contracts.message import Identifier, Message
from notifier.hub.client import Filters
from notifier.protocol.approvals import Misunderstood, faults_of


class Watch(Message):
    """The query of the socket's address. A member without a value is as good as none; one that is not known is refused."""

    user_id: Identifier | None = None
    session_id: Identifier | None = None
    run_id: UUID | None = None
    cursor: str | None = None

    def filters(self) -> Filters:
        """Return what the client wants to hear of."""
        return Filters(
            run_id=None if self.run_id is None else str(self.run_id), session_id=self.session_id, user_id=self.user_id
        )


def read_watch(query: Mapping[str, str]) -> Watch:
    """Read the query of the socket's address. Raises Misunderstood with every fault."""
    try:
        return Watch.model_validate({name: value for name, value in query.items() if value}, extra="forbid")
    except ValidationError as error:
        raise Misunderstood(*faults_of(error)) from None
