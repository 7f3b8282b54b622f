"""A bound on the lines of a second: under load a terminal shows some and counts the others. Pure: the caller says the time."""

from __future__ import annotations

LINES_A_SECOND = 40


class Throttle:
    """Lets LINES_A_SECOND lines pass in each second."""

    def __init__(self) -> None:
        self._second, self._passed, self._held = 0, 0, 0

    def passes(self, now: float) -> bool:
        """Return whether a line passes now."""
        if int(now) != self._second:
            self._second, self._passed = int(now), 0
        self._passed += 1
        passes = self._passed <= LINES_A_SECOND
        self._held += not passes
        return passes

    def held(self, now: float) -> int:
        """Return how many lines were held back, once their second is over, and begin anew."""
        if int(now) == self._second:
            return 0
        held, self._held = self._held, 0
        return held
