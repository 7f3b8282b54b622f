"""The hub: which clients are connected, which event goes to which of them, and which client is disconnected.

No I/O, no clock, no event loop. The feed calls `publish` and then `wake_clients`. An edge calls `join`, then `resume` or
`follow`, and takes from its client's queue whenever the client is woken. All of it happens in one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from notifier.errors import SnapshotTooOld
from notifier.hub.client import DEFAULT_TENANT, Client, DisconnectReason, Filters, HubBounds
from notifier.hub.cursor import Cursor, decode, encode
from notifier.hub.event_buffer import EventBuffer, Notification, Transient


class Hub:
    """Routes the log's events to clients. `log_id` is the identity of the log, set before the first event: cursors hold it."""

    def __init__(self, partitions: int, bounds: HubBounds | None = None) -> None:
        self.log_id = ""
        self.bounds = bounds or HubBounds()
        self._buffer = EventBuffer(partitions, self.bounds.buffer_count, self.bounds.buffer_size)
        self._clients: dict[str, dict[object, dict[Client, None]]] = {kind: {} for kind in _KINDS}
        self._to_wake: dict[Client, None] = {}
        self._settled: tuple[int, ...] = ()

    def cover(self, partitions: int) -> None:
        """Hold events of so many partitions, from the beginning of those that are new; never of fewer than before."""
        self._buffer.cover(partitions)

    # What the feed calls.

    @property
    def positions(self) -> tuple[int, ...]:
        """The next offset of each partition."""
        return tuple(self._buffer.positions)

    def position(self, partition: int) -> int:
        """Return the next offset of one partition."""
        return self._buffer.positions[partition]

    def cursor_at(self, partition: int, offset: int, tenant: str = DEFAULT_TENANT) -> str:
        """Return a tenant's cursor of the hub's positions, with `offset` as the next one of `partition`."""
        offsets = self._buffer.positions.copy()
        offsets[partition] = offset
        return encode(Cursor(self._log_of(tenant), tuple(offsets)))

    def skip_to(self, partition: int, offset: int) -> None:
        """Continue at `offset` though records before it were not read: disconnect every client, since it may have missed events."""
        self._buffer.skip_to(partition, offset)
        self._disconnect_all(DisconnectReason.GAP)

    def advance(self, partition: int, offset: int) -> None:
        """Continue at `offset`: the record before it goes to no client."""
        self._buffer.advance(partition, offset)

    def publish(self, notification: Notification) -> None:
        """Queue `notification`, the next of its partition, for the clients that watch its run.

        Those with a full queue are disconnected, and those of which it is not known whether they may see it.
        """
        self._buffer.advance(notification.partition, notification.offset + 1)
        self._buffer.append(notification)
        if notification.readers is None:
            self._disconnect_doubting(notification)
        for client in self._watching(notification):
            if not client.offer(notification, self.bounds):
                self.disconnect(client, DisconnectReason.TOO_SLOW)
            self._to_wake[client] = None

    def publish_transient(self, transient: Transient) -> None:
        """Queue `transient` for the clients that watch its run. A client with a long queue misses it and stays connected."""
        for client in self._watching(transient):
            client.offer_transient(transient, self.bounds)
            self._to_wake[client] = None

    def wake_clients(self) -> None:
        """Wake each client that was given something since the last call."""
        to_wake, self._to_wake = self._to_wake, {}
        for client in to_wake:
            client.wake()

    def stop(self) -> None:
        """Disconnect every client."""
        self._disconnect_all(DisconnectReason.STOPPING)

    # What the edges call.

    def join(self, filters: Filters, wake: Callable[[], None], at: tuple[int, ...] | None = None) -> Client:
        """Make a client whose queue stays empty until `resume` or `follow`. The buffer must hold every event from here to there.

        `at`: the positions at which its snapshot was asked for, if that was before.
        """
        return Client(filters, wake, at or self.positions)

    def resume(self, client: Client, cursor: str) -> bool:
        """Queue every event after `cursor`, then each new one. False when it cannot: a snapshot is needed.

        The buffer may hold too little, or an event of which it is not known whether the client may see it. The cursor may be of another log
        or another tenant.
        """
        place = decode(cursor)
        if (
            place is None
            or place.log_id != self._log_of(client.filters.tenant)
            or len(place.offsets) > len(self._buffer.positions)
        ):
            return False
        offsets = self._fitted(place.offsets)
        if not self._buffer.holds(offsets):
            return False
        missed = self._buffer.since(offsets)
        if client.filters.reader is not None and any(map(client.filters.doubts, missed)):
            return False
        self._start(client, filter(client.filters.match, missed), {})
        return True

    def follow(self, client: Client, shown: Mapping[str, int], *, partial: bool = False) -> str:
        """Queue every event that a snapshot with these runs and versions does not show, then each new one; return its cursor.

        The snapshot was taken after `join`. Unless it is `partial`, a run that it does not show is over, or the read model
        does not have it yet. Raises SnapshotTooOld when the buffer has evicted events that the client needs; a partial
        snapshot needs only those since `join`. It is raised too for an event that the snapshot may be too old to show, where it is not known
        whether the client may see it; what a snapshot shows may be seen.
        """
        joined_at, filters = self._fitted(client.joined_at), client.filters
        if not self._buffer.holds(joined_at):
            raise SnapshotTooOld
        doubted = [] if filters.reader is None else [one for one in self._buffer.latest() if filters.doubts(one)]
        seen = {one.run_id for one in doubted if shown.get(one.run_id)}
        wanted = (lambda one: one.run_id in seen or filters.match(one)) if seen else filters.match
        missed = self._buffer.newer_than(shown, joined_at, wanted)
        is_behind = any(self._may_be_missed(one, joined_at) for one in doubted if one.run_id not in seen)
        if not partial and (is_behind or not _continues(shown, missed)):
            raise SnapshotTooOld
        offsets = list(self._buffer.positions)
        for notification in reversed(missed):
            offsets[notification.partition] = notification.offset
        self._start(client, missed, shown)
        return encode(Cursor(self._log_of(client.filters.tenant), tuple(offsets)))

    def settle(self, client: Client) -> None:
        """Take it that snapshots show what came before a client joined, whoever may see it: they were given time for it."""
        self._settled = client.joined_at

    def leave(self, client: Client) -> None:
        """Forget a client. Leaving twice is no error."""
        kind, value = _narrowest(client.filters)
        clients = self._clients[kind].get(value, {})
        clients.pop(client, None)
        if not clients:
            self._clients[kind].pop(value, None)

    def disconnect(self, client: Client, reason: DisconnectReason) -> None:
        """Give a client nothing more, and forget it."""
        client.disconnect(reason)
        self.leave(client)

    def _start(self, client: Client, backlog: Iterable[Notification], shown: Mapping[str, int]) -> None:
        client.start(backlog, shown)
        kind, value = _narrowest(client.filters)
        self._clients[kind].setdefault(value, {})[client] = None
        client.wake()

    def _may_be_missed(self, doubted: Notification, joined_at: tuple[int, ...]) -> bool:
        """Say whether a snapshot that does not show a run may be too old for its latest event."""
        partition, offset = doubted.partition, doubted.offset
        return offset >= (joined_at if doubted.over else self._fitted(self._settled))[partition]

    def _disconnect_doubting(self, notification: Notification) -> None:
        indexed = [client for clients in self._indexed(notification) if clients for client in clients]
        for client in indexed:
            if client.filters.doubts(notification):
                self.disconnect(client, DisconnectReason.READERS_UNKNOWN)
                self._to_wake[client] = None

    def _watching(self, item: Notification | Transient) -> list[Client]:
        found: list[Client] = []
        for clients in self._indexed(item):
            if clients:
                found += [client for client in clients if client.filters.match(item)]
        return found

    def _indexed(self, item: Notification | Transient) -> tuple[Iterable[Client] | None, ...]:
        """Return the clients that are indexed by what an item is about."""
        return (
            self._clients["run"].get(item.run_id),
            self._clients["session"].get(item.session_id),
            self._clients["user"].get(item.user_id),
            self._clients["all"].get(None),
        )

    def _log_of(self, tenant: str) -> str:
        """Return the identity of the log as a tenant's cursors hold it."""
        return self.log_id if tenant == DEFAULT_TENANT else f"{self.log_id} {tenant}"

    def _fitted(self, offsets: tuple[int, ...]) -> tuple[int, ...]:
        # A partition that was added since is read from its beginning.
        return offsets + (0,) * (len(self._buffer.positions) - len(offsets))

    def _disconnect_all(self, reason: DisconnectReason) -> None:
        for client in [c for by_value in self._clients.values() for clients in by_value.values() for c in clients]:
            self.disconnect(client, reason)
            client.wake()


_KINDS = ("run", "session", "user", "all")


def _narrowest(filters: Filters) -> tuple[str, object]:
    # Each client is indexed by one of its filters, so that an event costs nothing for clients that watch other runs.
    if filters.run_id is not None:
        return ("run", filters.run_id)
    if filters.session_id is not None:
        return ("session", filters.session_id)
    return ("all", None) if filters.user_id is None else ("user", filters.user_id)


def _continues(shown: Mapping[str, int], missed: Iterable[Notification]) -> bool:
    reached = dict(shown)
    for notification in missed:
        if notification.version != reached.get(notification.run_id, 0) + 1:
            return False
        reached[notification.run_id] = notification.version
    return True
