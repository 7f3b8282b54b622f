"""What keeps a loop that holds its work and tries again from it: readiness shows it, since nothing is done meanwhile."""

from __future__ import annotations


class Obstacle:
    """The reason why work is held just now, or None."""

    def __init__(self) -> None:
        self.reason: str | None = None

    async def check(self) -> None:
        """Raise with the reason while there is one."""
        if self.reason is not None:
            raise ConnectionError(self.reason)
