"""What is kept of runs is bounded in number and in bytes, and what was used last is kept."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid4

from contracts.runs.outcomes import Refused
from orchestrator.intake.run_cache import Runs
from orchestrator.ports import Recorded, RefusedRequest
from orchestrator.runs import Run, decide, fold
from testkit.runs.command_records import cancel, start

SIZE = 100


def begun(*run_ids: UUID) -> tuple[dict[UUID, Run], list[Recorded]]:
    """Start runs; return them and their events, of one size each."""
    events = [event for run_id in run_ids for event in decide(start(run_id), None)]
    runs = {event.run_id: run for event in events if (run := fold([event])) is not None}
    return runs, [Recorded(event, b"x" * SIZE) for event in events]


def kept(runs: Runs, run_ids: Iterable[UUID]) -> list[UUID]:
    """Return which of them are kept."""
    return list(runs.kept(run_ids))


IDS = [UUID(int=number + 1) for number in range(5)]


def test_the_runs_that_were_used_last_are_kept() -> None:
    """Beyond the number of runs, the one that was not used for the longest goes."""
    runs = Runs(most_runs=3)
    for run_id in IDS[:3]:
        runs.remember(*begun(run_id))
    again, _ = begun(IDS[0])
    runs.remember(again, [])
    runs.remember(*begun(IDS[3]))
    assert kept(runs, IDS) == [IDS[0], IDS[2], IDS[3]]


def test_heavy_runs_are_kept_in_smaller_number() -> None:
    """The bound is on the bytes that all were folded from; what has gone weighs nothing any more."""
    runs = Runs(most_bytes=3 * SIZE)
    for run_id in IDS:
        runs.remember(*begun(run_id))
    assert kept(runs, IDS) == IDS[2:]
    more = begun(IDS[4])
    runs.remember(*more)
    assert kept(runs, IDS) == IDS[3:]
    runs.clear()
    runs.remember(*begun(*IDS[:3]))
    assert kept(runs, IDS) == IDS[:3]


def test_a_run_heavier_than_all_is_not_kept() -> None:
    """It is folded from the ledger each time."""
    runs = Runs(most_bytes=SIZE - 1)
    runs.remember(*begun(IDS[0]))
    assert kept(runs, IDS) == []


def test_a_run_that_is_over_is_let_go_of() -> None:
    """Hardly anybody asks it for more; its place and its weight are free again."""
    runs = Runs(most_bytes=2 * SIZE)
    begun_runs, events = begun(IDS[0])
    runs.remember(begun_runs, events)
    (run,) = begun_runs.values()
    over = fold(decide(cancel(IDS[0]), run), run)
    assert over is not None
    runs.remember({IDS[0]: over}, events)
    assert kept(runs, IDS) == []
    runs.remember(*begun(*IDS[1:3]))
    assert kept(runs, IDS) == IDS[1:3]


def test_a_run_is_kept_with_what_it_refused() -> None:
    """All of it, old and new: for a run that is kept, the ledger need not be asked."""
    runs, (first, second) = Runs(), (refusal(IDS[0]), refusal(IDS[0]))
    runs.remember(*begun(IDS[0]), [first])
    runs.remember(*begun(IDS[1]), [refusal(IDS[2])])
    runs.remember(begun(IDS[0])[0], [], [second])
    found = runs.kept(IDS)
    assert found[IDS[0]].refused == {refused.outcome.command_id: refused for refused in (first, second)}
    assert found[IDS[1]].refused == {}
    assert IDS[2] not in found


def test_refusals_weigh_too() -> None:
    """Whoever asks a run for what it refuses, again and again, makes it heavy, and it is let go of."""
    runs = Runs(most_bytes=10 * SIZE)
    runs.remember(*begun(*IDS[:2]))
    for _ in range(2):
        runs.remember(begun(IDS[0])[0], [], [refusal(IDS[0])])
    assert kept(runs, IDS) == []


def refusal(run_id: UUID) -> RefusedRequest:
    """Return something that a run refused."""
    return RefusedRequest(Refused(command_id=uuid4(), run_id=run_id, code="not_allowed", message="no"), None)
