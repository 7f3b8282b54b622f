"""The results of the cases, and how much work each case does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.driver.reviewers import Timings
from bench.hops import Hops
from bench.system.gauges import Reading


@dataclass(frozen=True)
class Sizes:
    """How much work each case does."""

    warm_up: int = 8_000
    one: int = 300
    many: int = 4_000
    floor_seconds: float = 8.0
    idle_seconds: float = 30.0
    backlog: int = 20_000
    waiting: int = 3_000
    more: int = 10
    """How many times as many runs are stored when figures are taken again."""


QUICK = Sizes(warm_up=300, one=60, many=1_000, floor_seconds=3.0, idle_seconds=10.0, backlog=2_000, waiting=300, more=3)


@dataclass(frozen=True)
class Loaded:
    """One measurement under load: latencies, and cost."""

    timings: Timings
    before: Reading
    after: Reading
    stored: int

    @property
    def cpu_ms(self) -> dict[str, float]:
        """CPU milliseconds a run, by process."""
        used = {name: self.after.cpu[name] - self.before.cpu[name] for name in self.before.cpu}
        return {name: 1000 * seconds / self.timings.runs for name, seconds in used.items()}

    def per_run(self, counter: Callable[[Reading], int]) -> float:
        """Return the increase of a counter a run."""
        return (counter(self.after) - counter(self.before)) / self.timings.runs


@dataclass
class Results:
    """All measurements; None for a case that was not run."""

    floors: list[float] = field(default_factory=list)
    hops: Hops | None = None
    one: Loaded | None = None
    many: Loaded | None = None
    peaks: dict[str, int] = field(default_factory=dict)
    waiting: tuple[float, float] | None = None
    more_stored: Loaded | None = None
    backlog_seconds: float | None = None
    orchestrators: dict[int, Loaded] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    idle: float | None = None
    """The share of one core that the embedded stack takes while nothing happens."""

    @property
    def floor(self) -> float:
        """The floor: the mean of the measurements before and after."""
        return sum(self.floors) / len(self.floors)
