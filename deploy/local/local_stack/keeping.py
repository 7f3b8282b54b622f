"""Keeping processes alive: one that ends is started again, later each time it ends soon after."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from local_stack.processes import Process

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""Who ran this long before it ended starts again without a history."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait before the next start. Pure: the caller says how long the last one lasted."""

    seconds: float = 0.0

    def after(self, ran_seconds: float) -> Backoff:
        """Return the wait that follows a start that lasted `ran_seconds`."""
        if ran_seconds >= STEADY_SECONDS or not self.seconds:
            return Backoff(FIRST_SECONDS)
        return Backoff(min(self.seconds * 2, LONGEST_SECONDS))


class Kept:
    """One process that is kept alive. `look` is called often and never waits."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._backoff = Backoff()
        self._started = monotonic()
        self._due: float | None = None

    def look(self) -> str | None:
        """Start the process again when that is due; return one line when it was found to have ended."""
        if self.process.alive:
            return None
        if self._due is None:
            self._backoff = self._backoff.after(monotonic() - self._started)
            self._due = monotonic() + self._backoff.seconds
            return (
                f"{self.process.program.name} {_ending(self.process)}; starting it again in {self._backoff.seconds:g} s"
            )
        if monotonic() >= self._due:
            self._due, self._started = None, monotonic()
            self.process.start()
        return None


def _ending(process: Process) -> str:
    code = process.exit_code
    how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
    last = process.last_lines(1).strip()
    return f"{how} ({last})" if code and code > 0 and last else how
