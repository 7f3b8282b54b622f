"""Who asks, as every endpoint sees it."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request

from contracts.identity import Principal
from contracts.runs.tasks.readers import Reader, reader_of
from identity.resolved import Resolved

CALLER = "caller"
"""The member of a request's scope that holds the caller."""


class Caller(NamedTuple):
    """The tenant that a request is bound to, and its credential: none while authentication is off."""

    tenant: str
    resolved: Resolved | None
    csrf_token: str | None = None
    """What the writes of its session carry; None where it came by no session."""

    @property
    def principal(self) -> Principal | None:
        """Who it is; None while authentication is off."""
        return None if self.resolved is None else self.resolved.principal

    @property
    def subject(self) -> str | None:
        """Who it is; None while authentication is off."""
        return None if self.principal is None else self.principal.subject

    @property
    def reader(self) -> Reader | None:
        """What this caller may read; None where it reads every run of its tenant."""
        return reader_of(self.principal)


TRUSTED = Caller("default", None)
"""Each caller while authentication is off."""


def caller_of(request: Request) -> Caller:
    """Return who asks."""
    caller: Caller = request.scope[CALLER]
    return caller
