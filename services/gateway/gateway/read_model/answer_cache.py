"""What this gateway answered a moment ago: who was told of a version mostly asks for what just came."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from gateway.ports import Run

FRESH_SECONDS = 1.0
"""How long an answer is repeated. It is right for ever, of its version; but there may be a newer one."""


@dataclass(slots=True)
class _Answer:
    at: float
    tenant: str
    run: Run
    reached: int = 0


class Recent:
    """Runs as they were answered, for a moment. One is told again once the read model has come so far: what is read agrees."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: OrderedDict[UUID, _Answer] = OrderedDict()

    def answered(self, tenant: str, run_id: UUID, run: Run) -> None:
        """Keep what the orchestrator said of a run, and forget what is no longer fresh."""
        known = self._answers.get(run_id)
        if known is None or known.run.version <= run.version:
            self._answers[run_id] = _Answer(self._clock(), tenant, run, known.reached if known else 0)
            self._answers.move_to_end(run_id)
        while self._answers and self._is_stale(next(iter(self._answers.values()))):
            self._answers.popitem(last=False)

    def moved(self, versions: Mapping[UUID, int]) -> None:
        """Learn how far the read model has come."""
        for run_id in versions.keys() & self._answers.keys():
            self._answers[run_id].reached = versions[run_id]

    def run(self, tenant: str, run_id: UUID, version: int) -> Run | None:
        """Return the run as it was answered lately, if that has `version` or more, and is what the read model has."""
        answer = self._of(tenant, run_id)
        return None if answer is None or not version <= answer.run.version == answer.reached else answer.run

    def version(self, tenant: str, run_id: UUID) -> int:
        """Return the version at which the run was answered lately; 0 when it was not."""
        answer = self._of(tenant, run_id)
        return 0 if answer is None else answer.run.version

    def is_behind(self, tenant: str, run_id: UUID, version: int) -> bool:
        """Say whether `version` was answered lately and is on its way: this process projects the run, and has not heard of it."""
        answer = self._of(tenant, run_id)
        return answer is not None and 0 < answer.reached < version <= answer.run.version

    def _of(self, tenant: str, run_id: UUID) -> _Answer | None:
        answer = self._answers.get(run_id)
        return None if answer is None or answer.tenant != tenant or self._is_stale(answer) else answer

    def _is_stale(self, answer: _Answer) -> bool:
        return self._clock() - answer.at > FRESH_SECONDS
