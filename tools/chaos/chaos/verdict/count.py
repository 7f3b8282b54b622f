"""The count after a fault: every answer that clients got, held against the ledger, the read model and the provider's calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from chaos.clients.load import Load
from chaos.system.stage import Stage
from chaos.verdict import laws
from chaos.verdict.views import views_differ
from contracts.runs.run_event import RunEvent

SETTLE_SECONDS = 60.0
"""How long clients wait for answers and ends once the fault is over; the system's longest wait is a lease."""

_PER_RUN: Mapping[str, Callable[[laws.Case], Iterator[str]]] = {
    "ended": laws.ended,
    "once": laws.once,
    "gapless": laws.gapless,
    "answers": laws.answers,
    "seen": laws.seen,
    "called": laws.called,
    "held": laws.held,
    "timely": laws.timely,
    "voted": laws.voted,
}


@dataclass(frozen=True)
class Count:
    """One line of the table. `breaches` has a list for every law; `stall` and `wait` are seconds."""

    runs: int
    decisions: int
    about_tasks: int
    refused: int
    asked_again: int
    retries: int
    stall: float
    wait: float
    breaches: Mapping[str, list[str]]

    @property
    def broken(self) -> list[str]:
        """All breaches of all laws."""
        return [f"{law}: {breach}" for law, found in self.breaches.items() for breach in found]


async def count(stage: Stage, load: Load) -> Count:
    """Wait for all answers, then check the laws."""
    await load.settle(SETTLE_SECONDS)
    if load.failure is not None:
        raise load.failure
    histories, calls = await _histories(stage), await stage.provider.calls()
    by_prompt = {event.data.request.prompt: run_id for run_id, (event, *_) in histories.items()}  # type: ignore[attr-defined]
    cases = [
        laws.Case(story, histories.get(by_prompt.get(story.prompt, UUID(int=0)), []), calls[story.prompt])
        for story in load.stories
        if story.requests
    ]
    breaches = {law: [found for case in cases for found in check(case)] for law, check in _PER_RUN.items()}
    breaches["answers"] += load.unequal
    breaches["views"] = await views_differ(stage, {run_id: len(history) for run_id, history in histories.items()})
    requests = [request for story in load.stories for request in story.requests]
    return Count(
        runs=len(cases),
        decisions=sum(one.action != "start" and not one.is_about_task for one in requests),
        about_tasks=sum(one.is_about_task for one in requests),
        refused=sum(
            one.answer is not None and one.answer.outcome in one.allowed and not one.took_effect for one in requests
        ),
        asked_again=sum(one.sent for one in requests) - len(requests) - load.repeated,
        retries=sum(map(laws.retries_of, cases)),
        stall=load.longest_stall,
        wait=load.longest_wait,
        breaches={law: breaches[law] for law in laws.LAWS},
    )


async def _histories(stage: Stage) -> dict[UUID, list[RunEvent]]:
    async with stage.sql() as sql:
        rows = await sql.fetch("SELECT run_id, record FROM ledger.events ORDER BY run_id, version")
    found: defaultdict[UUID, list[RunEvent]] = defaultdict(list)
    for row in rows:
        found[row["run_id"]].append(RunEvent.parse(row["record"]))
    return found
