"""Restarts a process that ended, with a backoff that grows while it keeps ending soon."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from local_stack.processes.process import Process

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A process that ran this long starts again without a history."""


@dataclass(frozen=True)
class Backoff:
    """The wait before the next start. Pure: the caller says how long the last run was."""

    seconds: float = 0.0

    def after(self, ran_seconds: float) -> Backoff:
        """Return the wait that follows a run of `ran_seconds`."""
        if ran_seconds >= STEADY_SECONDS or not self.seconds:
            return Backoff(FIRST_SECONDS)
        return Backoff(min(self.seconds * 2, LONGEST_SECONDS))


class Supervisor:
    """Keeps one process alive. `tick` is called often and never waits."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._backoff = Backoff()
        self._started = monotonic()
        self._due: float | None = None

    def tick(self) -> str | None:
        """Restart the process once its backoff is over; return one line when it has just ended."""
        if self.process.alive:
            return None
        if self._due is None:
            self._backoff = self._backoff.after(monotonic() - self._started)
            self._due = monotonic() + self._backoff.seconds
            return (
                f"{self.process.program.name} {_exit(self.process)}; starting it again in {self._backoff.seconds:g} s"
            )
        if monotonic() >= self._due:
            self._due, self._started = None, monotonic()
            self.process.start()
        return None


def _exit(process: Process) -> str:
    code = process.exit_code
    how = f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
    last = process.last_lines(1).strip()
    return f"{how} ({last})" if code and code > 0 and last else how
