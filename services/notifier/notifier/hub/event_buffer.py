"""The last events of the log, in the order in which this instance read them: plain data, bounded in number and size.

It returns all events after a given place of the log, or says that it has evicted some of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import NamedTuple


class Frame(NamedTuple):
    """One message to a client, as it goes out: JSON in UTF-8."""

    type: str
    body: bytes


def bytes_of(frames: Iterable[Frame]) -> int:
    """Return the size of messages."""
    return sum([len(frame.body) for frame in frames])


class Notification(NamedTuple):
    """One event at its place in the log, with its messages, which are the same for all clients.

    `over`: the run has ended. `size`: bytes of the messages. `requester`: the person who started the run, where it is known;
    `readers`: the entries of those who may read it besides (see `contracts.runs.tasks.readers`), None while who may read it is not known.
    """

    partition: int
    offset: int
    run_id: str
    version: int
    tenant: str
    user_id: str | None
    session_id: str | None
    over: bool
    frames: tuple[Frame, ...]
    size: int
    requester: str | None = None
    readers: tuple[str, ...] | None = ()


class Transient(NamedTuple):
    """An item for the clients that are connected now: it has no place in the log and is not buffered. `size`: about its bytes."""

    run_id: str
    tenant: str
    user_id: str | None
    session_id: str | None
    frames: tuple[Frame, ...]
    size: int
    requester: str | None = None
    readers: tuple[str, ...] | None = ()


class EventBuffer:
    """Holds at most `count` notifications and `size` bytes. `positions` are the next offsets of the partitions.

    A partition's floor is the lowest offset from which nothing was evicted or skipped.
    """

    def __init__(self, partitions: int, count: int, size: int) -> None:
        self.positions = [0] * partitions
        self._floors = [0] * partitions
        self._held: deque[Notification] = deque()
        self._latest: dict[str, Notification] = {}
        self._count = count
        self._size = 0
        self._max_size = size

    def cover(self, partitions: int) -> None:
        """Hold notifications of so many partitions, from the beginning of those that are new."""
        new = [0] * (partitions - len(self.positions))
        self.positions += new
        self._floors += new

    def skip_to(self, partition: int, offset: int) -> None:
        """Continue at `offset`; the floor rises to it."""
        self.positions[partition] = self._floors[partition] = offset

    def advance(self, partition: int, offset: int) -> None:
        """Record that everything before `offset` has been read."""
        self.positions[partition] = offset

    def append(self, notification: Notification) -> None:
        """Hold the next notification of its partition; evict the oldest of all partitions when a bound is passed."""
        self._held.append(notification)
        self._latest[notification.run_id] = notification
        self._size += notification.size
        while len(self._held) > self._count or self._size > self._max_size:
            self._evict()

    def holds(self, offsets: Sequence[int]) -> bool:
        """Say whether every event from `offsets` on is still held."""
        return all(offset >= floor for offset, floor in zip(offsets, self._floors, strict=True))

    def since(self, offsets: Sequence[int]) -> list[Notification]:
        """Return every event from `offsets` on, oldest first. The cost grows with the result, not with the buffer."""
        behind = {partition for partition, position in enumerate(self.positions) if offsets[partition] < position}
        found: list[Notification] = []
        for notification in reversed(self._held):
            if not behind:
                break
            asked = offsets[notification.partition]
            if notification.offset >= asked:
                found.append(notification)
            if notification.offset <= asked:
                behind.discard(notification.partition)
        return found[::-1]

    def latest(self) -> Iterable[Notification]:
        """Return the latest event of each run of which one is held."""
        return self._latest.values()

    def newer_than(
        self, shown: Mapping[str, int], since: Sequence[int], wanted: Callable[[Notification], bool]
    ) -> list[Notification]:
        """Return the wanted events of a client that was shown runs at the versions `shown`, oldest first.

        Of a run that was not shown, every event is returned, unless the run was over before the offsets `since`.
        """
        after: dict[str, float] = {}
        for run_id, latest in self._latest.items():
            if not wanted(latest) or latest.version <= shown.get(run_id, 0):
                continue
            if run_id in shown or not latest.over or latest.offset >= since[latest.partition]:
                after[run_id] = shown.get(run_id, 0)
        if not after:
            return []
        return [held for held in self._held if held.version > after.get(held.run_id, inf)]

    def _evict(self) -> None:
        oldest = self._held.popleft()
        self._size -= oldest.size
        self._floors[oldest.partition] = oldest.offset + 1
        if self._latest[oldest.run_id] is oldest:
            del self._latest[oldest.run_id]
