"""What is open by a credential: it was resolved once, and may be revoked since, or stand in for others.

A socket or a stream ends when its credential does, and is told what the credential says since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, Protocol

from identity.errors import IdentityUnavailable
from identity.resolved import Resolved
from identity.resolver import Resolver

LOOK_SECONDS = 2.0
"""Between looks at the credentials of all that is open: a revocation is in force everywhere within 5 s."""


class Holder(Protocol):
    """A socket or a stream that is open by a credential, which may be replaced meanwhile. Several may be one and the same object."""

    @property
    def resolved(self) -> Resolved | None:
        """The credential, or None where none is needed."""


class _Opening(NamedTuple):
    holder: Holder
    end: Callable[[], None]
    change: Callable[[Resolved], None]

    def holds(self, resolved: Resolved) -> bool:
        """Return whether it is still open by this credential, and not by one that replaced it meanwhile."""
        return self.holder.resolved is resolved


class CredentialWatch:
    """Ends what is open when its credential ends, and tells it when absences begin or end. Without a `resolver` no credential is needed."""

    def __init__(self, resolver: Resolver | None) -> None:
        self.resolver = resolver
        self._open: dict[object, _Opening] = {}

    @contextmanager
    def held(self, holder: Holder, end: Callable[[], None], change: Callable[[Resolved], None]) -> Iterator[None]:
        """Call `end` if the credential ends within the block, and `change` with what it says where absences changed it."""
        if self.resolver is None:
            yield
            return
        opening = object()  # without authentication all callers are one constant: a holder is no key
        self._open[opening] = _Opening(holder, end, change)
        try:
            yield
        finally:
            del self._open[opening]

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while self.resolver is not None:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Look at the credentials of all that is open now: one query, and one for the absences of each tenant."""
        held = [(opening, resolved) for opening in self._open.values() if (resolved := opening.holder.resolved)]
        if self.resolver is None or not held:
            return
        ended = {id(one) for one in await self.resolver.ended([resolved for _, resolved in held])}
        held = [(opening, resolved) for opening, resolved in held if opening.holds(resolved)]
        for opening, resolved in held:
            if id(resolved) in ended:
                opening.end()
        lasting = [(opening, resolved) for opening, resolved in held if id(resolved) not in ended]
        with suppress(IdentityUnavailable):
            now = await self.resolver.completed([resolved for _, resolved in lasting])
            for (opening, before), resolved in zip(lasting, now, strict=True):
                if resolved is not before and opening.holds(before):
                    opening.change(resolved)
