"""One who listens: what it wants to hear of, and what it is due. Plain data, driven by the hub and taken from by an edge."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from notifier.hub.event_buffer import Notification, Passing


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is held, in notifications and in bytes. Messages are shared: a queue costs little until the ring moves on."""

    ring_count: int = 20_000
    ring_size: int = 8 * 1024 * 1024
    queue_count: int = 10_000
    queue_size: int = 16 * 1024 * 1024
    passing_count: int = 100


@dataclass(frozen=True, slots=True)
class Filters:
    """What a client wants to hear of; each one given must match."""

    run_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    tenant: str = "default"

    def match(self, news: Notification | Passing) -> bool:
        """Say whether the client is to hear of it."""
        return (
            self.tenant == news.tenant
            and self.run_id in (None, news.run_id)
            and self.session_id in (None, news.session_id)
            and self.user_id in (None, news.user_id)
        )


class Dropped(Enum):
    """Why the hub let go of a client. In each case it comes back with its cursor and misses nothing."""

    TOO_SLOW = "too slow"
    GAP = "the log lost records that were not read yet"
    STOPPING = "stopping"


@dataclass(eq=False, slots=True)
class Client:
    """One who listens. `wake` is called when there is something to take, and when the hub lets go of it."""

    filters: Filters
    wake: Callable[[], None]
    joined_at: tuple[int, ...]
    dropped: Dropped | None = None
    _due: deque[Notification | Passing] = field(default_factory=deque)
    _backlog: int = 0
    _queued: int = 0
    _shown: dict[str, int] = field(default_factory=dict)

    @property
    def is_due(self) -> bool:
        """Whether there is something to take."""
        return bool(self._due)

    def take(self, most: int = 256 * 1024) -> list[Notification | Passing]:
        """Take what is due, in order: at least one if there is any, and about `most` bytes at once."""
        taken: list[Notification | Passing] = []
        while self._due and most > 0:
            news = self._due.popleft()
            taken.append(news)
            most -= news.size
            if self._backlog:
                self._backlog -= 1
            else:
                self._queued -= news.size
        return taken

    def begin(self, backlog: Iterable[Notification], shown: Mapping[str, int]) -> None:
        """Let `backlog` be due first, and nothing of a run up to its version in `shown`.

        The backlog came out of the ring in one piece: its length does not make the client a slow one.
        """
        self._due.extend(backlog)
        self._backlog = len(self._due)
        self._shown = dict(shown)

    def offer(self, notification: Notification, limits: Limits) -> bool:
        """Queue a notification. False when the queue is full."""
        if self._shown and (shown := self._shown.get(notification.run_id)) is not None:
            if notification.version <= shown:
                return True
            del self._shown[notification.run_id]
        self._due.append(notification)
        self._queued += notification.size
        return len(self._due) - self._backlog <= limits.queue_count and self._queued <= limits.queue_size

    def offer_in_passing(self, passing: Passing, limits: Limits) -> None:
        """Queue what may be missed, unless the client has much to read already."""
        if len(self._due) < limits.passing_count:
            self._due.append(passing)
            self._queued += passing.size

    def let_go(self, why: Dropped) -> None:
        """Forget what is due: the client hears no more."""
        self.dropped = why
        self._due.clear()
