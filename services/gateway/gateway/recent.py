"""What this gateway answered a moment ago: who was told of a version mostly asks for what just came."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from gateway.ports import Run

FRESH_SECONDS = 1.0
"""How long an answer is repeated. It is right for ever, of its version; but there may be a newer one."""


class Recent:
    """Runs as they were answered, for a moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answered: OrderedDict[tuple[str, UUID], tuple[float, Run]] = OrderedDict()

    def answered(self, tenant: str, run_id: UUID, run: Run) -> None:
        """Keep what the orchestrator said of a run, and forget what is no longer fresh."""
        now, known = self._clock(), self._answered.get((tenant, run_id))
        if known is None or known[1].version <= run.version:
            self._answered[tenant, run_id] = now, run
            self._answered.move_to_end((tenant, run_id))
        while self._answered and self._is_stale(next(iter(self._answered.values()))[0]):
            self._answered.popitem(last=False)

    def run(self, tenant: str, run_id: UUID, version: int) -> Run | None:
        """Return the run if it was answered lately and has `version` or more."""
        at, run = self._answered.get((tenant, run_id), _NEVER)
        return None if run is None or run.version < version or self._is_stale(at) else run

    def _is_stale(self, at: float) -> bool:
        return self._clock() - at > FRESH_SECONDS


_NEVER: tuple[float, None] = (0.0, None)
