"""First connection of a client without a usable cursor: join the hub, take a snapshot, follow the hub from it.

Events that come meanwhile are in the event buffer. A snapshot that the read model is too far behind for is taken again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from notifier.edges.snapshots import Snapshots
from notifier.errors import SnapshotTooOld
from notifier.hub.client import Client, Filters
from notifier.hub.hub import Hub
from notifier.protocol.snapshot_parts import SnapshotParts

PAUSES = (0.05, 0.2, 0.5, 1.0, None)
"""Seconds between tries. The last snapshot is taken as partial: one run with lost records must not keep all others from a client."""


class CaughtUp(NamedTuple):
    """A client that follows the hub, the snapshot that it is shown first, and the snapshot's cursor."""

    client: Client
    snapshot: SnapshotParts
    cursor: str


async def catch_up(
    hub: Hub, filters: Filters, wake: Callable[[], None], snapshots: Snapshots, credential: str | None = None
) -> CaughtUp:
    """Let a client follow the hub from a snapshot of what its credential shows. Raises SnapshotTooOld and GatewayUnavailable."""
    # A run that is watched by its id and has no view was shown at version 0.
    asked = {filters.run_id: 0} if filters.run_id is not None else {}
    for pause in PAUSES:
        taken_at, snapshot = await snapshots.take(filters, credential)
        client = hub.join(filters, wake, taken_at)
        try:
            partial = snapshot.truncated or pause is None
            cursor = hub.follow(client, {**asked, **snapshot.versions}, partial=partial)
            if pause is None:
                hub.settle(client)
            return CaughtUp(client, snapshot, cursor)
        except SnapshotTooOld:
            if pause is None:
                raise
            await asyncio.sleep(pause)
    raise AssertionError("the last try returns or raises")
