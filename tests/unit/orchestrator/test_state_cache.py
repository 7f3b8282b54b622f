"""What is kept of runs is bounded in number and in bytes, and what was used last is kept."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid4

from orchestrator.intake.state_cache import StateCache
from orchestrator.ports import StoredEvent, StoredRefusal
from orchestrator.runs import Run, decide, fold
from testkit.runs.command_records import cancel, start

SIZE = 100


def begun(*run_ids: UUID) -> tuple[dict[UUID, Run], list[StoredEvent]]:
    """Start runs; return them and their events, of one size each."""
    events = [event for run_id in run_ids for event in decide(start(run_id), None)]
    runs = {event.run_id: run for event in events if (run := fold([event])) is not None}
    return runs, [StoredEvent(event.run_id, event, b"x" * SIZE) for event in events]


def cached(cache: StateCache[Run], run_ids: Iterable[UUID]) -> list[UUID]:
    """Return which of them are kept."""
    return list(cache.find(run_ids))


IDS = [UUID(int=number + 1) for number in range(5)]


def test_the_runs_that_were_used_last_are_kept() -> None:
    """Beyond the number of runs, the one that was not used for the longest goes."""
    cache: StateCache[Run] = StateCache(most_streams=3)
    for run_id in IDS[:3]:
        cache.put(*begun(run_id))
    again, _ = begun(IDS[0])
    cache.put(again, [])
    cache.put(*begun(IDS[3]))
    assert cached(cache, IDS) == [IDS[0], IDS[2], IDS[3]]


def test_heavy_runs_are_kept_in_smaller_number() -> None:
    """The bound is on the bytes that all were folded from; what has gone weighs nothing any more."""
    cache: StateCache[Run] = StateCache(most_bytes=3 * SIZE)
    for run_id in IDS:
        cache.put(*begun(run_id))
    assert cached(cache, IDS) == IDS[2:]
    more = begun(IDS[4])
    cache.put(*more)
    assert cached(cache, IDS) == IDS[3:]
    cache.clear()
    cache.put(*begun(*IDS[:3]))
    assert cached(cache, IDS) == IDS[:3]


def test_a_run_heavier_than_all_is_not_kept() -> None:
    """It is folded from the ledger each time."""
    cache: StateCache[Run] = StateCache(most_bytes=SIZE - 1)
    cache.put(*begun(IDS[0]))
    assert cached(cache, IDS) == []


def test_a_run_that_is_over_is_let_go_of() -> None:
    """Hardly anybody asks it for more; its place and its weight are free again."""
    cache: StateCache[Run] = StateCache(most_bytes=2 * SIZE)
    begun_runs, events = begun(IDS[0])
    cache.put(begun_runs, events)
    (run,) = begun_runs.values()
    over = fold(decide(cancel(IDS[0]), run), run)
    assert over is not None
    cache.put({IDS[0]: over}, events)
    assert cached(cache, IDS) == []
    cache.put(*begun(*IDS[1:3]))
    assert cached(cache, IDS) == IDS[1:3]


def test_a_run_is_kept_with_what_it_refused() -> None:
    """All of it, old and new: for a run that is kept, the ledger need not be asked."""
    cache: StateCache[Run] = StateCache()
    first, second = refusal(IDS[0]), refusal(IDS[0])
    cache.put(*begun(IDS[0]), [first])
    cache.put(*begun(IDS[1]), [refusal(IDS[2])])
    cache.put(begun(IDS[0])[0], [], [second])
    found = cache.find(IDS)
    assert found[IDS[0]].refused == {refused.command_id: refused for refused in (first, second)}
    assert found[IDS[1]].refused == {}
    assert IDS[2] not in found


def test_refusals_weigh_too() -> None:
    """Whoever asks a run for what it refuses, again and again, makes it heavy, and it is let go of."""
    cache: StateCache[Run] = StateCache(most_bytes=10 * SIZE)
    cache.put(*begun(*IDS[:2]))
    for _ in range(3):
        cache.put(begun(IDS[0])[0], [], [refusal(IDS[0])])
    assert cached(cache, IDS) == []


def test_refusals_weigh_as_much_as_they_hold() -> None:
    """One that repeats a large decision is no lighter than it: bytes are bounded, and not their number."""
    cache: StateCache[Run] = StateCache(most_bytes=100 * SIZE)
    cache.put(*begun(*IDS[:2]))
    cache.put(begun(IDS[0])[0], [], [refusal(IDS[0], 100 * SIZE)])
    assert cached(cache, IDS) == []


def refusal(run_id: UUID, size: int = 2) -> StoredRefusal:
    """Return something that a run refused, with an outcome of so many bytes."""
    return StoredRefusal(uuid4(), run_id, None, b"x" * size)
