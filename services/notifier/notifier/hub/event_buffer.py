"""The last events of the log, in the order in which this instance read them: plain data, bounded in number and size.

It answers one question exactly: what came after a given place, or that it cannot tell any more.
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
    """One event at its place in the log, with the messages that all who hear of it get.

    `over`: the run has ended. `size`: bytes of the messages.
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


class Passing(NamedTuple):
    """Something that only who listens now gets: it has no place in the log, and is not held. `size`: about the bytes of the messages."""

    run_id: str
    tenant: str
    user_id: str | None
    session_id: str | None
    frames: tuple[Frame, ...]
    size: int


class Ring:
    """Holds at most `count` notifications and `size` bytes. `positions` are the next offsets of the partitions."""

    def __init__(self, partitions: int, count: int, size: int) -> None:
        self.positions = [0] * partitions
        self._floors = [0] * partitions
        self._held: deque[Notification] = deque()
        self._latest: dict[str, Notification] = {}
        self._count = count
        self._size = 0
        self._most = size

    def skip_to(self, partition: int, offset: int) -> None:
        """Go on at `offset`: what is before it can be asked for no more."""
        self.positions[partition] = self._floors[partition] = offset

    def advance(self, partition: int, offset: int) -> None:
        """Record that everything before `offset` has been read."""
        self.positions[partition] = offset

    def keep(self, notification: Notification) -> None:
        """Hold the next notification of its partition, and let go of the oldest of all where there are too many."""
        self._held.append(notification)
        self._latest[notification.run_id] = notification
        self._size += notification.size
        while len(self._held) > self._count or self._size > self._most:
            self._let_go()

    def holds(self, offsets: Sequence[int]) -> bool:
        """Say whether everything from `offsets` on is still here."""
        return all(offset >= floor for offset, floor in zip(offsets, self._floors, strict=True))

    def since(self, offsets: Sequence[int]) -> list[Notification]:
        """Return everything from `offsets` on, oldest first. The cost grows with what is returned, not with the ring."""
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

    def beyond(
        self, known: Mapping[str, int], since: Sequence[int], wanted: Callable[[Notification], bool]
    ) -> list[Notification]:
        """Return what one who knows runs up to the versions `known` has missed, oldest first.

        A run that is not among them is returned whole, unless it was over before the offsets `since`.
        """
        after: dict[str, float] = {}
        for run_id, latest in self._latest.items():
            if not wanted(latest) or latest.version <= known.get(run_id, 0):
                continue
            if run_id in known or not latest.over or latest.offset >= since[latest.partition]:
                after[run_id] = known.get(run_id, 0)
        if not after:
            return []
        return [held for held in self._held if held.version > after.get(held.run_id, inf)]

    def _let_go(self) -> None:
        oldest = self._held.popleft()
        self._size -= oldest.size
        self._floors[oldest.partition] = oldest.offset + 1
        if self._latest[oldest.run_id] is oldest:
            del self._latest[oldest.run_id]
