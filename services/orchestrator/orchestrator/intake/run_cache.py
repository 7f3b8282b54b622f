"""Open runs kept in memory between batches, so that most commands load nothing. The ledger is the truth; losing one costs a query."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from orchestrator.ports import Recorded, RefusedRequest
from orchestrator.runs import Run

MOST_RUNS = 5_000
MOST_BYTES = 32 * 1024 * 1024
"""Of the events that the runs were folded from: a run holds parts of them, and few hold more than some kilobytes."""


_NONE: Mapping[UUID, RefusedRequest] = {}
_REFUSAL_BYTES = 500
"""What one remembered refusal is taken to weigh."""


class Kept(NamedTuple):
    """An open run, every refusal that it gave, by command, and what they weigh."""

    run: Run
    refused: Mapping[UUID, RefusedRequest]
    weight: int


class Runs:
    """The open runs that were used last, as many as the bounds allow."""

    def __init__(self, most_runs: int = MOST_RUNS, most_bytes: int = MOST_BYTES) -> None:
        self._most_runs = most_runs
        self._most_bytes = most_bytes
        self._runs: OrderedDict[UUID, Kept] = OrderedDict()
        self._weight = 0

    def kept(self, run_ids: Iterable[UUID]) -> dict[UUID, Kept]:
        """Return those of these runs that are kept."""
        return {run_id: kept for run_id in run_ids if (kept := self._runs.get(run_id)) is not None}

    def remember(
        self, runs: Mapping[UUID, Run], folded: Iterable[Recorded], refused: Iterable[RefusedRequest] = ()
    ) -> None:
        """Keep open runs as they are now, and let go of those that were not used for the longest.

        `folded` are the events and `refused` the refusals that are new in them.
        """
        weights: defaultdict[UUID, int] = defaultdict(int)
        for recorded in folded:
            weights[recorded.event.run_id] += len(recorded.body)
        refusals: defaultdict[UUID, dict[UUID, RefusedRequest]] = defaultdict(dict)
        for refusal in refused:
            weights[refusal.outcome.run_id] += _REFUSAL_BYTES
            refusals[refusal.outcome.run_id][refusal.outcome.command_id] = refusal
        for run_id, run in runs.items():
            before = self._runs.pop(run_id, None)
            known, weight = (before.refused, before.weight) if before else (_NONE, 0)
            self._weight -= weight
            if run.view.is_over:
                continue
            if run_id in refusals:
                known = {**known, **refusals[run_id]}
            weight += weights[run_id]
            self._runs[run_id] = Kept(run, known, weight)
            self._weight += weight
        while self._runs and (len(self._runs) > self._most_runs or self._weight > self._most_bytes):
            _, let_go = self._runs.popitem(last=False)
            self._weight -= let_go.weight

    def clear(self) -> None:
        """Let go of all."""
        self._runs.clear()
        self._weight = 0
