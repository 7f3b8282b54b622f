"""A client of the hub: its filters and its queue. Plain data: the hub fills the queue, an edge takes from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from contracts.runs.tasks.readers import Reader
from notifier.hub.event_buffer import Notification, Transient

DEFAULT_TENANT = "default"
"""The one tenant while authentication is off."""


@dataclass(frozen=True, slots=True)
class HubBounds:
    """How much the hub holds: numbers of items, and sizes in bytes.

    Items are shared, so a queue costs memory of its own only for what the event buffer has evicted.
    """

    buffer_count: int = 20_000
    buffer_size: int = 8 * 1024 * 1024
    queue_count: int = 10_000
    queue_size: int = 16 * 1024 * 1024
    transient_count: int = 100


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs a client watches; each filter that is given must match."""

    run_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    tenant: str = DEFAULT_TENANT
    reader: Reader | None = None
    """What the client may see; None where it may see every run of its tenant."""

    def match(self, item: Notification | Transient) -> bool:
        """Say whether the client gets `item`."""
        return (
            self.tenant == item.tenant
            and self.run_id in (None, item.run_id)
            and self.session_id in (None, item.session_id)
            and self.user_id in (None, item.user_id)
            and (self.reader is None or self.reader.may_read(item.readers or (), item.requester))
        )

    def doubts(self, item: Notification) -> bool:
        """Say whether the client gets `item` if it may see it, which is not known."""
        if self.reader is None or item.readers is not None:
            return False
        return Filters(self.run_id, self.session_id, self.user_id, self.tenant).match(item)


class DisconnectReason(Enum):
    """Why the hub disconnected a client, and how the client returns so that it misses nothing."""

    TOO_SLOW = "too slow: come back with your cursor"
    GAP = "the log lost records that were not read yet: come back with your cursor"
    READERS_UNKNOWN = "it is not known for now whether you may see an event: come back with your cursor"
    SIGHT = "what you may see has changed: come back without your cursor"
    STOPPING = "stopping: come back with your cursor"


@dataclass(eq=False, slots=True)
class Client:
    """A client and its queue. The hub calls `wake` when there is something to take, and when it disconnects the client."""

    filters: Filters
    wake: Callable[[], None]
    joined_at: tuple[int, ...]
    disconnected: DisconnectReason | None = None
    _queue: deque[Notification | Transient] = field(default_factory=deque)
    _backlog: int = 0
    _queued_size: int = 0
    _shown: dict[str, int] = field(default_factory=dict)

    def take(self, size: int = 256 * 1024) -> list[Notification | Transient]:
        """Take from the queue, in order: at least one item if there is any, and about `size` bytes."""
        taken: list[Notification | Transient] = []
        while self._queue and size > 0:
            item = self._queue.popleft()
            taken.append(item)
            size -= item.size
            if self._backlog:
                self._backlog -= 1
            else:
                self._queued_size -= item.size
        return taken

    def start(self, backlog: Iterable[Notification], shown: Mapping[str, int]) -> None:
        """Queue `backlog` first; of each run in `shown`, queue only versions above the one that was shown.

        The bounds do not count the backlog: a client that missed much is not a slow one.
        """
        self._queue.extend(backlog)
        self._backlog = len(self._queue)
        self._shown = dict(shown)

    def offer(self, notification: Notification, bounds: HubBounds) -> bool:
        """Queue a notification. False when the queue is full."""
        if self._shown and (shown := self._shown.get(notification.run_id)) is not None:
            if notification.version <= shown:
                return True
            del self._shown[notification.run_id]
        self._queue.append(notification)
        self._queued_size += notification.size
        return len(self._queue) - self._backlog <= bounds.queue_count and self._queued_size <= bounds.queue_size

    def offer_transient(self, transient: Transient, bounds: HubBounds) -> None:
        """Queue a transient item, unless the queue is long already."""
        if len(self._queue) < bounds.transient_count:
            self._queue.append(transient)
            self._queued_size += transient.size

    def disconnect(self, reason: DisconnectReason) -> None:
        """Empty the queue for good."""
        self.disconnected = reason
        self._queue.clear()
