"""Snapshots of the gateway, asked for once for all clients with equal filters that come meanwhile.

A snapshot serves every client that joins the hub while it is asked for: the client follows the hub from the place at which the
question was asked, not from its own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from notifier.hub.client import Filters
from notifier.hub.hub import Hub
from notifier.ports import Gateway
from notifier.protocol.snapshot_parts import SnapshotParts

AT_ONCE = 16
"""Questions at a time; others wait. Each may hold a snapshot of its largest size."""


class TakenSnapshot(NamedTuple):
    """A snapshot in its messages, and the hub's positions before it was asked for."""

    at: tuple[int, ...]
    parts: SnapshotParts


@dataclass(slots=True)
class Snapshots:
    """The questions to one gateway."""

    hub: Hub
    gateway: Gateway
    _asked: dict[Filters, asyncio.Task[TakenSnapshot]] = field(default_factory=dict)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def take(self, filters: Filters, credential: str | None = None) -> TakenSnapshot:
        """Return the snapshot that is being asked for with these filters, or ask with a credential. Raises GatewayUnavailable.

        Clients with equal filters see the same, so that it does not matter with whose credential it is asked.
        """
        asking = self._asked.get(filters)
        if asking is None:
            asking = self._asked[filters] = asyncio.create_task(self._take(filters, credential))
            asking.add_done_callback(lambda _: self._asked.pop(filters))
        # A client that leaves does not end the question of the others.
        return await asyncio.shield(asking)

    async def _take(self, filters: Filters, credential: str | None) -> TakenSnapshot:
        async with self._places:
            at = self.hub.positions
            snapshot = await self.gateway.snapshot(
                run_id=filters.run_id,
                session_id=filters.session_id,
                user_id=filters.user_id,
                credential=credential,
            )
            return TakenSnapshot(at, SnapshotParts(snapshot))
