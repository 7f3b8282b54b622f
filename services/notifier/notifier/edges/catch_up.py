"""How a client begins that no cursor brings back: joined first, looked then, until what was seen and what is held meet.

What happens in between is in the ring, and none of it is lost. Knows neither sockets nor who is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from notifier.hub.client import Client, Filters
from notifier.hub.hub import Hub, Overtaken

PAUSES = (0.05, 0.2, 0.5, 1.0, None)
"""Seconds between tries while the read model is too far behind. After the last one a client gets what there is: a run of
which records are lost for good must not keep all others from it."""


class Look(Protocol):
    """What the read model showed: runs at their versions, and whether there are more."""

    @property
    def versions(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def truncated(self) -> bool: ...  # noqa: D102


L = TypeVar("L", bound=Look)


@dataclass(frozen=True, slots=True)
class Begun(Generic[L]):
    """A client that listens, what it is to be shown first, and the cursor of that."""

    client: Client
    look: L
    cursor: str


async def begin(hub: Hub, filters: Filters, wake: Callable[[], None], look: Callable[[], Awaitable[L]]) -> Begun[L]:
    """Let a client listen from what `look` shows. Raises Overtaken when too much happens meanwhile, and what `look` raises."""
    # A run that is asked for by its id and was not found is one of which nothing was shown.
    asked = {filters.run_id: 0} if filters.run_id is not None else {}
    for pause in PAUSES:
        client = hub.join(filters, wake)
        seen = await look()
        try:
            cursor = hub.follow(client, {**asked, **seen.versions}, partial=seen.truncated or pause is None)
        except Overtaken:
            if pause is None:
                raise
            await asyncio.sleep(pause)
        else:
            return Begun(client, seen, cursor)
    raise AssertionError("the last try returns or raises")
