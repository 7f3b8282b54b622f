"""Failpoints: named places at which a test kills or stops this process, and a clock that a test may turn. Not a setting for users.

`SAYSO_FAILPOINTS="intake.appended=kill@7,clock=skew.txt"`: the process is killed at the seventh passing of `intake.appended`
(`stop@7`: stopped), and its clock is wrong by the seconds in the file. Unset, a failpoint is a call of an empty function
and the clock is the machine's own. Code that decides never names either: time comes to it with a command.
"""

from __future__ import annotations

import os
import re
import signal
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")

VARIABLE = "SAYSO_FAILPOINTS"

Reached = Callable[[str], None]
"""Called with the name of each failpoint that is passed."""

Now = Callable[[], datetime]

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_PLACE = re.compile(r"([a-z.-]+)=(kill|stop)(?:@([1-9]\d*))?")


def nothing(_: str) -> None:
    """Pass a failpoint that is not set."""


def utc_now() -> datetime:
    """Return the machine's time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Failpoints:
    """The failpoints of a process: code calls `reached` at each of them, and `now` in place of a clock."""

    reached: Reached = nothing
    now: Now = utc_now


OFF = Failpoints()


def each_await(work: Coroutine[Any, Any, _T], place: str, reached: Reached) -> Awaitable[_T]:
    """Return `work`, which passes the failpoint `place` at each await. Without failpoints it is `work` itself."""
    return work if reached is nothing else _stepwise(work, place, reached)


@types.coroutine
def _stepwise(work: Coroutine[Any, Any, _T], place: str, reached: Reached) -> Generator[Any, Any, _T]:
    proceed: Callable[[], Any] = partial(work.send, None)
    while True:
        try:
            awaited = proceed()
        except StopIteration as ended:
            result: _T = ended.value
            return result
        reached(place)
        try:
            proceed = partial(work.send, (yield awaited))
        except BaseException as error:  # any error is thrown into the coroutine that waits
            proceed = partial(work.throw, error)


def load_failpoints(environment: Mapping[str, str] = os.environ) -> Failpoints:
    """Read the failpoints, once. Ends the process with one line when they are malformed."""
    places: dict[str, _Place] = {}
    now = utc_now
    for asked in filter(None, environment.get(VARIABLE, "").split(",")):
        if asked.startswith("clock="):
            now = _turned(Path(asked.removeprefix("clock=")))
        elif found := _PLACE.fullmatch(asked):
            places[found[1]] = _Place(_SIGNALS[found[2]], int(found[3] or 1))
        else:
            raise SystemExit(f"sayso: {VARIABLE}: {asked!r} is neither place=kill@n, place=stop@n nor clock=file")
    return Failpoints(_armed(places) if places else nothing, now)


@dataclass(slots=True)
class _Place:
    signal: signal.Signals
    at: int
    passed: int = field(default=0)


def _armed(places: Mapping[str, _Place]) -> Reached:
    def reached(name: str) -> None:
        place = places.get(name)
        if place is not None:
            place.passed += 1
            if place.passed == place.at:
                os.kill(os.getpid(), place.signal)

    return reached


def _turned(seconds: Path) -> Now:
    return lambda: datetime.now(UTC) + timedelta(seconds=float(seconds.read_text()))
