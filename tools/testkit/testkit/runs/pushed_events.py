"""Records, notifications and clients for tests of the notifier's hub."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4, uuid5

from contracts.runs.event_header import EventHeader
from contracts.runs.events import CheckpointOpened
from contracts.runs.run_event import RunEvent
from notifier.hub.client import Client, Filters, HubBounds
from notifier.hub.event_buffer import Frame, Notification, Transient, bytes_of
from notifier.hub.hub import Hub
from testkit.runs.specification import Story


def moved(story: Story, run_id: UUID | None = None, **members: Any) -> list[RunEvent]:
    """Return the events of a story as those of another run, with other members of the envelope.

    Checkpoints get new ids too, since no two runs share one.
    """
    changes = {"run_id": run_id or uuid4(), **members}
    values = [event.model_copy(update=changes).to_bytes() for event in story.history]
    for checkpoint_id in {
        event.data.checkpoint_id for event in story.history if isinstance(event.data, CheckpointOpened)
    }:
        own = uuid5(changes["run_id"], str(checkpoint_id))
        values = [value.replace(str(checkpoint_id).encode(), str(own).encode()) for value in values]
    return [RunEvent.parse(value) for value in values]


def headers_in(events: Sequence[RunEvent]) -> list[tuple[EventHeader, bytes]]:
    """Return the events' headers as the feed reads them, each with its record's value."""
    return [(EventHeader.parse(value), value) for value in (event.to_bytes() for event in events)]


def values_of(story: Story, run_id: UUID | None = None, **members: Any) -> list[bytes]:
    """Return the records' values of a story, moved to another run."""
    return [event.to_bytes() for event in moved(story, run_id, **members)]


@dataclass(frozen=True)
class WatchedRun:
    """A run in hub tests: its owner, and the partition of its records."""

    run_id: str = field(default_factory=lambda: str(uuid4()))
    user_id: str | None = "ann"
    session_id: str | None = "s"
    tenant: str = "default"
    partition: int = 0


ANN = WatchedRun(user_id="ann", session_id="s1")
ANN_ELSEWHERE = WatchedRun(user_id="ann", session_id="s2")
BOB = WatchedRun(user_id="bob", session_id="s1")


class HubPublisher:
    """Publishes on a hub as a feed does: consecutive offsets in each partition, the hub's cursors."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.versions: dict[str, int] = defaultdict(int)

    def publish(self, run: WatchedRun, times: int = 1, *, over: bool = False, size: int = 0) -> None:
        """Publish the next versions of a run, and wake the clients concerned."""
        for _ in range(times):
            self.versions[run.run_id] += 1
            self.hub.publish(self.notification(run, self.versions[run.run_id], over=over, size=size))
        self.hub.wake_clients()

    def notification(self, run: WatchedRun, version: int, *, over: bool = False, size: int = 0) -> Notification:
        """Return the notification of one version of a run at the hub's place."""
        offset = self.hub.position(run.partition)
        text = {"cursor": self.hub.cursor_at(run.partition, offset + 1), "version": version, "pad": "x" * size}
        frames = (Frame("HITL_STATUS_UPDATE", json.dumps({**text, "run_id": run.run_id}).encode()),)
        return Notification(
            partition=run.partition,
            offset=offset,
            run_id=run.run_id,
            version=version,
            tenant=run.tenant,
            user_id=run.user_id,
            session_id=run.session_id,
            over=over,
            frames=frames,
            size=bytes_of(frames),
        )


def events_in(taken: Sequence[Notification | Transient]) -> list[Notification]:
    """Return the notifications that have an offset, of those that a client took."""
    return [one for one in taken if isinstance(one, Notification)]


class Listener:
    """A client of a hub, with the notifications that it took."""

    def __init__(self, hub: Hub, **filters: Any) -> None:
        self.hub = hub
        self.woken = 0
        self.heard: list[Notification] = []
        self.client: Client = hub.join(Filters(**filters), self._on_wake)

    def live(self) -> Listener:
        """Begin with nothing shown and nothing missed."""
        self.hub.follow(self.client, {})
        return self

    def listen(self, most: int = 2**30) -> list[tuple[str, int]]:
        """Take what is due; return the runs and versions heard of now."""
        taken = events_in(self.client.take(most))
        self.heard += taken
        return [(one.run_id, one.version) for one in taken]

    @property
    def cursor(self) -> str:
        """The cursor of the last message."""
        return str(json.loads(self.heard[-1].frames[-1].body)["cursor"])

    def _on_wake(self) -> None:
        self.woken += 1


def hub_of(partitions: int = 1, log_id: str = "log", **bounds: int) -> Hub:
    """Return a hub on a log."""
    hub = Hub(partitions, HubBounds(**bounds))
    hub.log_id = log_id
    return hub
