"""Any interleaving: a client that always returns with its last cursor misses nothing.

The world has two instances that read two partitions at their own pace, a read model that lags behind both, event buffers
and queues that are far too small, and a client that is cut off anywhere, between the two messages of one event too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from hypothesis import event, given, settings
from hypothesis import strategies as st

from notifier.errors import SnapshotTooOld
from notifier.hub.client import Client, Filters
from notifier.hub.event_buffer import Frame, Notification, bytes_of
from notifier.hub.hub import Hub
from testkit.runs.pushed_events import events_in, hub_of

RUNS = [str(UUID(int=number)) for number in range(4)]
ANNS = RUNS[:3]
"""The client watches Ann's runs; the fourth is Bob's."""

PARTITION = {run_id: number % 2 for number, run_id in enumerate(RUNS)}
LAST = 9
"""The version that ends a run."""


@dataclass(frozen=True)
class Happened:
    """An event at its place in the log."""

    run_id: str
    version: int

    @property
    def asks(self) -> bool:
        """Whether a request to decide goes with it."""
        return self.version % 3 == 2


class Instance:
    """A hub that reads the log as far as it is told to."""

    def __init__(self, log: list[list[Happened]], begin: list[int]) -> None:
        self.log = log
        self.hub: Hub = hub_of(2, buffer_count=8, queue_count=3)
        for partition, offset in enumerate(begin):
            self.hub.skip_to(partition, offset)

    def read(self, partition: int) -> bool:
        """Read one record of a partition, if there is one."""
        offset = self.hub.position(partition)
        if offset >= len(self.log[partition]):
            return False
        happened = self.log[partition][offset]
        before, after = self.hub.cursor_at(partition, offset), self.hub.cursor_at(partition, offset + 1)
        frames: tuple[Frame, ...] = (Frame("update", after.encode()),)
        if happened.asks:
            frames = (Frame("update", before.encode()), Frame("request", after.encode()))
        self.hub.publish(
            Notification(
                partition,
                offset,
                happened.run_id,
                happened.version,
                "default",
                "bob" if happened.run_id not in ANNS else "ann",
                None,
                happened.version == LAST,
                frames,
                bytes_of(frames),
            )
        )
        self.hub.wake_clients()
        return True


@dataclass
class Watcher:
    """A client: its last cursor, the version of each run that it knows, and its unread messages."""

    cursor: str = ""
    known: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unread: list[tuple[Notification, Frame]] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    instance: Instance | None = None
    client: Client | None = None

    def read(self) -> bool:
        """Read one message, if there is one, and hold it to the promise."""
        if self.client is not None and not self.unread:
            self.unread = [(one, frame) for one in events_in(self.client.take(1)) for frame in one.frames]
        if not self.unread:
            return False
        notification, frame = self.unread.pop(0)
        run_id, version = notification.run_id, notification.version
        assert run_id in ANNS, "a message about Bob's run"
        assert version >= self.told.get(run_id, 0), "a run's events out of order"
        assert version <= self.known[run_id] + 1, f"missed what came before version {version}"
        self.told[run_id] = version
        if frame is notification.frames[-1]:
            self.known[run_id] = max(self.known[run_id], version)
        self.cursor = frame.body.decode()
        return True

    def leave(self) -> None:
        """Be cut off; unread messages are gone."""
        if self.instance is not None and self.client is not None:
            self.instance.hub.leave(self.client)
        self.client, self.unread, self.told = None, [], {}


class World:
    """The log, the read model, two instances and one client, moved by numbers."""

    def __init__(self) -> None:
        self.log: list[list[Happened]] = [[], []]
        self.versions: dict[str, int] = defaultdict(int)
        self.projected: dict[str, int] = defaultdict(int)
        self.instances = [Instance(self.log, [0, 0]), Instance(self.log, [0, 0])]
        self.watcher = Watcher()
        self.joined: Client | None = None
        self.over_when_shown: set[str] = set()

    def happen(self, number: int) -> None:
        """Let a run move on, as long as it is not over."""
        run_id = RUNS[number % 4]
        if self.versions[run_id] < LAST:
            self.versions[run_id] += 1
            self.log[PARTITION[run_id]].append(Happened(run_id, self.versions[run_id]))

    def feed(self, number: int) -> None:
        """Let an instance read."""
        self.instances[number % 2].read(number // 2 % 2)

    def project(self, number: int) -> None:
        """Let the read model learn the next event of a run."""
        run_id = RUNS[number % 4]
        self.projected[run_id] = min(self.projected[run_id] + 1, self.versions[run_id])

    def restart(self, number: int) -> None:
        """Start an instance anew, a little back in the log."""
        if self.watcher.instance is self.instances[number % 2]:
            self.watcher.leave()
            self.joined = None
        begin = [max(0, len(records) - 3) for records in self.log]
        instance = self.instances[number % 2] = Instance(self.log, begin)
        while instance.read(0) or instance.read(1):
            pass

    def join(self, number: int) -> None:
        """Return: with the cursor at once, or by a join and a snapshot some time later."""
        self.watcher.leave()
        self.watcher.instance = self.instances[number % 2]
        hub = self.watcher.instance.hub
        client = hub.join(Filters(user_id="ann"), lambda: None)
        self.joined = client
        if self.watcher.cursor and hub.resume(client, self.watcher.cursor):
            event("resumed with a cursor")
            self.watcher.client, self.joined = client, None

    def show(self, _: int) -> None:
        """Take the snapshot of a client that waits for one."""
        if self.joined is None or self.watcher.instance is None:
            return
        client, self.joined = self.joined, None
        hub = self.watcher.instance.hub
        self._project_evicted_events(hub)
        shown = {run_id: at for run_id in ANNS if 0 < (at := self.projected[run_id]) < LAST}
        try:
            self.watcher.cursor = hub.follow(client, shown)
        except SnapshotTooOld:
            event("the snapshot was too old")
            return
        self.watcher.client = client
        self.over_when_shown |= {run_id for run_id in ANNS if self.versions[run_id] == LAST and run_id not in shown}
        for run_id in ANNS:
            # A run that is not shown is over, or is not in the read model yet.
            self.watcher.known[run_id] = max(self.watcher.known[run_id], shown.get(run_id, 0))
        event("followed a snapshot")

    def _project_evicted_events(self, hub: Hub) -> None:
        # The promise rests on this alone: the read model has every event that the buffer has evicted.
        for records, floor in zip(self.log, hub._buffer._floors, strict=True):
            for happened in records[:floor]:
                self.projected[happened.run_id] = max(self.projected[happened.run_id], happened.version)

    def hear(self, _: int) -> None:
        """Let the client read one message."""
        self.watcher.read()

    def cut(self, _: int) -> None:
        """Cut the client off."""
        self.watcher.leave()
        self.joined = None

    def settle(self) -> None:
        """Come to rest: every record is read and projected, and the client is connected and reads everything."""
        for instance in self.instances:
            while instance.read(0) or instance.read(1):
                self.watcher.read()
        for run_id in RUNS:
            self.projected[run_id] = self.versions[run_id]
        while self.watcher.read():
            pass
        if self.watcher.client is None or self.watcher.client.disconnected:
            self.join(0)
            self.show(0)
        while self.watcher.read():
            pass


ACTIONS = (World.cut, World.happen, World.feed, World.project, World.hear, World.join, World.show, World.restart)
WEIGHTS = (1, 8, 12, 5, 12, 3, 3, 1)
actions = st.tuples(
    st.sampled_from([action for action, weight in zip(ACTIONS, WEIGHTS, strict=True) for _ in range(weight)]),
    st.integers(0, 7),
)


@settings(max_examples=60)
@given(st.lists(actions, min_size=40, max_size=150))
def test_a_client_that_always_returns_with_its_cursor_misses_nothing(steps: list[tuple[object, int]]) -> None:
    """Each version of each watched run arrives or was in a snapshot, in order; runs that are over may be left out."""
    world = World()
    for action, number in steps:
        action(world, number)  # type: ignore[operator]
    world.settle()
    for run_id in ANNS:
        if run_id not in world.over_when_shown:
            assert world.watcher.known[run_id] == world.versions[run_id], run_id
