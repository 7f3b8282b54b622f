"""What a client brings to its handshake: from where it comes, and what it wants to hear of. No sockets here."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import ValidationError

from contracts.base import Identifier, Message
from notifier.clients import Filters
from notifier.decisions import Misunderstood, faults_of

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_welcome(headers: Mapping[str, str]) -> bool:
    """Say whether a handshake comes from no page at all, or from one of the host that it asks; ports may differ.

    Browsers ask nobody before they open a socket, unlike for a request with JSON: any page that somebody looks at could
    decide in their place, on a service that trusts who reaches it.
    """
    origin = headers.get("origin")
    if origin is None:
        return True
    from_host, to_host = _host(origin), _host(f"//{headers.get('host', '')}")
    if from_host is None or to_host is None:
        return False
    return from_host == to_host or {from_host, to_host} <= LOOPBACK


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


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
