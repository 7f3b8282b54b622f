"""Who listens, what each one is to get, and whom to drop: plain data, driven by a feed on one side and edges on the other.

No I/O, no clock, no event loop. The feed calls `publish` and then `rouse`; an edge calls `join`, then `resume` or
`follow`, and takes what is due whenever its client is woken. All of it happens in one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from notifier.hub.client import Client, Dropped, Filters, Limits
from notifier.hub.cursor import Cursor, decode, encode
from notifier.hub.event_buffer import Notification, Passing, Ring


class Overtaken(Exception):
    """What a client was shown and what the ring still holds do not meet: there is something in between that it would miss."""


class Hub:
    """Joins the log and those who listen. `log` names the log that cursors belong to; the feed sets it before it begins."""

    def __init__(self, partitions: int, limits: Limits | None = None) -> None:
        self.log = ""
        self.limits = limits or Limits()
        self._ring = Ring(partitions, self.limits.ring_count, self.limits.ring_size)
        self._clients: dict[str, dict[object, dict[Client, None]]] = {kind: {} for kind in _KINDS}
        self._roused: dict[Client, None] = {}

    # What the feed calls.

    @property
    def positions(self) -> tuple[int, ...]:
        """The next offset of each partition."""
        return tuple(self._ring.positions)

    def position(self, partition: int) -> int:
        """Return the next offset of one partition."""
        return self._ring.positions[partition]

    def cursor_at(self, partition: int, offset: int) -> str:
        """Return the cursor of the place that this one becomes when `offset` is the next of `partition`."""
        offsets = self._ring.positions.copy()
        offsets[partition] = offset
        return encode(Cursor(self.log, tuple(offsets)))

    @property
    def oldest_cursor(self) -> str:
        """Return the cursor of the log's beginning: whoever returns with it misses nothing."""
        return encode(Cursor(self.log, (0,) * len(self._ring.positions)))

    def skip_to(self, partition: int, offset: int) -> None:
        """Go on at `offset` though what is before it was not read: who listens may have missed something, and is let go of."""
        self._ring.skip_to(partition, offset)
        self._let_all_go(Dropped.GAP)

    def advance(self, partition: int, offset: int) -> None:
        """Go on at `offset`: what is before it is of no interest to anybody."""
        self._ring.advance(partition, offset)

    def publish(self, notification: Notification) -> None:
        """Let everybody concerned have `notification`, the next of its partition. Who has too much due is let go of."""
        self._ring.advance(notification.partition, notification.offset + 1)
        self._ring.keep(notification)
        for client in self._concerned(notification):
            if not client.offer(notification, self.limits):
                self._let_go(client, Dropped.TOO_SLOW)
            self._roused[client] = None

    def pass_on(self, passing: Passing) -> None:
        """Let everybody concerned who listens now have `passing`. Who has too much due misses it, and is not let go of."""
        for client in self._concerned(passing):
            client.offer_in_passing(passing, self.limits)
            self._roused[client] = None

    def rouse(self) -> None:
        """Wake everybody who has something to take since the last call."""
        roused, self._roused = self._roused, {}
        for client in roused:
            client.wake()

    def stop(self) -> None:
        """Let go of everybody."""
        self._let_all_go(Dropped.STOPPING)

    # What the edges call.

    def join(self, filters: Filters, wake: Callable[[], None]) -> Client:
        """Make a client. From here on the ring must hold everything until `resume` or `follow`; nothing is due before."""
        return Client(filters, wake, self.positions)

    def resume(self, client: Client, cursor: str) -> bool:
        """Let the client have everything after `cursor`, then what comes. False when only a snapshot can help it."""
        place = decode(cursor)
        if place is None or place.log != self.log:
            return False
        offsets = _fitted(place.offsets, len(self._ring.positions))
        if not self._ring.holds(offsets):
            return False
        self._listen(client, filter(client.filters.match, self._ring.since(offsets)), {})
        return True

    def follow(self, client: Client, shown: Mapping[str, int], *, partial: bool = False) -> str:
        """Let a client that was shown runs at these versions have what it has not seen, then what comes.

        Returns the cursor of what it was shown, which it asked for after it joined. Unless that is `partial`, a run that
        is not in it is over or not known to the read model yet. Raises Overtaken, if partial only for the client's own time.
        """
        if not self._ring.holds(client.joined_at):
            raise Overtaken
        missed = self._ring.beyond(shown, client.joined_at, client.filters.match)
        if not partial and not _joins(shown, missed):
            raise Overtaken
        offsets = list(self._ring.positions)
        for notification in reversed(missed):
            offsets[notification.partition] = notification.offset
        self._listen(client, missed, shown)
        return encode(Cursor(self.log, tuple(offsets)))

    def leave(self, client: Client) -> None:
        """Forget a client. Leaving twice is no error."""
        kind, value = _narrowest(client.filters)
        listening = self._clients[kind].get(value, {})
        listening.pop(client, None)
        if not listening:
            self._clients[kind].pop(value, None)

    def _listen(self, client: Client, backlog: Iterable[Notification], shown: Mapping[str, int]) -> None:
        client.begin(backlog, shown)
        kind, value = _narrowest(client.filters)
        self._clients[kind].setdefault(value, {})[client] = None
        client.wake()

    def _concerned(self, news: Notification | Passing) -> list[Client]:
        found: list[Client] = []
        for listening in (
            self._clients["run"].get(news.run_id),
            self._clients["session"].get(news.session_id),
            self._clients["user"].get(news.user_id),
            self._clients["everything"].get(None),
        ):
            if listening:
                found += [client for client in listening if client.filters.match(news)]
        return found

    def _let_go(self, client: Client, why: Dropped) -> None:
        client.let_go(why)
        self.leave(client)

    def _let_all_go(self, why: Dropped) -> None:
        everybody = [c for found in self._clients.values() for listening in found.values() for c in listening]
        for client in everybody:
            self._let_go(client, why)
            client.wake()


_KINDS = ("run", "session", "user", "everything")


def _narrowest(filters: Filters) -> tuple[str, object]:
    # Each client is found by one of its filters, so that an event costs nothing for those who watch other runs.
    if filters.run_id is not None:
        return ("run", filters.run_id)
    if filters.session_id is not None:
        return ("session", filters.session_id)
    return ("everything", None) if filters.user_id is None else ("user", filters.user_id)


def _joins(shown: Mapping[str, int], missed: Iterable[Notification]) -> bool:
    reached = dict(shown)
    for notification in missed:
        if notification.version != reached.get(notification.run_id, 0) + 1:
            return False
        reached[notification.run_id] = notification.version
    return True


def _fitted(offsets: tuple[int, ...], partitions: int) -> tuple[int, ...]:
    # A partition that is younger than the cursor is read from its beginning.
    return (offsets + (0,) * partitions)[:partitions]
