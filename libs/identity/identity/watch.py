"""A socket or a stream ends when its credential does, which was resolved once and may be revoked since."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from identity.resolved import Resolved
from identity.resolver import Resolver

LOOK_SECONDS = 2.0
"""Between looks at the credentials of all that is open: a revocation is in force everywhere within 5 s."""


class Holder(Protocol):
    """A socket or a stream that is open by a credential, which may be replaced meanwhile. Several may be one and the same object."""

    @property
    def resolved(self) -> Resolved | None:
        """The credential, or None where none is needed."""


class CredentialWatch:
    """Ends what is open when its credential ends. Without a `resolver` nothing ends, since no credential is needed."""

    def __init__(self, resolver: Resolver | None) -> None:
        self.resolver = resolver
        self._open: dict[object, tuple[Holder, Callable[[], None]]] = {}

    @contextmanager
    def held(self, holder: Holder, end: Callable[[], None]) -> Iterator[None]:
        """Call `end` if the credential ends within the block; perhaps more than once."""
        if self.resolver is None:
            yield
            return
        opening = object()  # without authentication all callers are one constant: a holder is no key
        self._open[opening] = holder, end
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
        """Look at the credentials of all that is open now, by one query."""
        held = [(resolved, end) for holder, end in self._open.values() if (resolved := holder.resolved) is not None]
        if self.resolver is None or not held:
            return
        ended = {id(one) for one in await self.resolver.ended([resolved for resolved, _ in held])}
        for resolved, end in held:
            if id(resolved) in ended:
                end()
