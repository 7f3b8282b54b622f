"""What this gateway wrote into the read model a moment ago: a client that asks for a version mostly asks for what just came."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from uuid import UUID

from gateway.ports import Run
from gateway.projection import Moved

FRESH_SECONDS = 1.0
"""How long what was written is taken for the newest. While partitions move, another gateway may have written since."""


class Recent:
    """Runs as they were written, for a moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moved: OrderedDict[UUID, tuple[float, Moved]] = OrderedDict()

    def written(self, runs: Iterable[Moved]) -> None:
        """Keep what stands in the tables now, and forget what is no longer fresh."""
        now = self._clock()
        for moved in runs:
            self._moved[moved.view.run_id] = now, moved
            self._moved.move_to_end(moved.view.run_id)
        while self._moved and self._is_stale(next(iter(self._moved))):
            self._moved.popitem(last=False)

    def run(self, tenant: str, run_id: UUID, version: int) -> Run | None:
        """Return the run if it was written lately and has `version` or more."""
        if run_id not in self._moved or self._is_stale(run_id):
            return None
        _, moved = self._moved[run_id]
        if moved.tenant != tenant or moved.view.version < version:
            return None
        return Run(moved.view.version, moved.view.state.value, moved.view.model_dump_json())

    def is_behind(self, run_id: UUID, version: int) -> bool:
        """Say whether the run was written lately and has not come to `version` yet: the tables hold nothing newer."""
        return run_id in self._moved and not self._is_stale(run_id) and self._moved[run_id][1].view.version < version

    def _is_stale(self, run_id: UUID) -> bool:
        return self._clock() - self._moved[run_id][0] > FRESH_SECONDS
