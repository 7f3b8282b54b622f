"""What a `Ledger` promises of a batch, in memory and on PostgreSQL: written whole by one owner or not at all, and read as it was."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from orchestrator.ports import Batch, Fenced, LedgerUnavailable, Move, Store, StoredEvent
from orchestrator.runs import Deadline

from .conftest import MakeStore
from .entries import ASKED, NOW, contents, due, recorded, refusal, write


async def test_what_was_written_is_loaded_byte_for_byte_and_in_order(store: Store) -> None:
    """Events come back by run, in the order of their versions, as the bytes that were given."""
    one, two = uuid4(), uuid4()
    events = [recorded(one, 1), recorded(two, 1), recorded(one, 2, "ü\u2028 \\u0000 \x00"), recorded(one, 3)]
    await write(store, 0, 4, events=events)
    known = await store.load([one, two, uuid4()])
    assert known.histories == {one: [events[0], events[2], events[3]], two: [events[1]]}


async def test_a_partition_that_was_never_decided_stands_at_zero(store: Store) -> None:
    """Positions begin at 0 and end where the last batch moved them."""
    assert await store.positions([0, 3]) == {0: 0, 3: 0}
    await store.transact(Batch([Move(0, 0, 7), Move(3, 0, 2)]))
    assert await store.positions([0, 3, 1]) == {0: 7, 3: 2, 1: 0}


async def test_a_position_that_moved_on_fences_the_whole_batch(store: Store) -> None:
    """Nothing is written when one of several partitions stands elsewhere: no event, refusal, deadline or position."""
    run_id = uuid4()
    await write(store, 0, 3, deadlines=[due(run_id, NOW)])
    before = await contents(store)
    with pytest.raises(Fenced):
        await store.transact(
            Batch(
                [Move(0, 2, 4), Move(1, 0, 1)],
                events=[recorded(run_id, 1)],
                refusals=[refusal(uuid4())],
                deadlines=[Deadline(run_id, None)],
            )
        )
    assert await contents(store) == before


async def test_a_partition_that_nobody_looked_at_is_fenced(store: Store) -> None:
    """A move of a position that does not exist writes nothing."""
    run_id = uuid4()
    with pytest.raises(Fenced):
        await store.transact(Batch([Move(2, 0, 1)], events=[recorded(run_id, 1)]))
    assert (await store.load([run_id])).histories == {}


async def test_a_version_that_exists_fences_the_whole_batch(store: Store) -> None:
    """The key (run, version) is the second guard: nothing is written, the position stays, and the ledger goes on."""
    run_id = uuid4()
    await write(store, 0, 1, events=[recorded(run_id, 1)])
    before = await contents(store)
    with pytest.raises(Fenced):
        await store.transact(
            Batch(
                [Move(0, 1, 2)],
                events=[recorded(uuid4(), 1), recorded(run_id, 1, "other")],
                refusals=[refusal(uuid4())],
                deadlines=[due(run_id, NOW)],
            )
        )
    assert await contents(store) == before
    await store.transact(Batch([Move(0, 1, 2)], events=[recorded(run_id, 2)]))
    assert len((await store.load([run_id])).histories[run_id]) == 2


@pytest.mark.parametrize("known", ["event", "refusal"])
async def test_a_run_that_had_begun_before_fences_the_whole_batch(known: str, store: Store) -> None:
    """Taken to begin, a run may have neither events nor refusals: with either, nothing is written."""
    unknown = uuid4()
    await write(
        store, 0, 1, **{"events": [recorded(ASKED, 1)]} if known == "event" else {"refusals": [refusal(uuid4())]}
    )
    before = await contents(store)
    with pytest.raises(Fenced):
        await store.transact(Batch([Move(0, 1, 2)], [recorded(unknown, 1)], begun={unknown, ASKED}))
    assert await contents(store) == before
    await store.transact(Batch([Move(0, 1, 2)], [recorded(unknown, 1)], begun={unknown}))
    assert len((await store.load([unknown])).histories[unknown]) == 1


async def test_of_two_owners_at_once_one_writes(make_store: MakeStore) -> None:
    """However many owners move a position from where it stands, one of them succeeds and the others are fenced."""
    owners = [make_store() for _ in range(4)]
    runs = [uuid4() for _ in owners]
    await owners[0].positions([0, 1])
    moves = [[Move(0, 0, 1), Move(1, 0, 1)], [Move(1, 0, 1), Move(0, 0, 1)]] * 2
    batches = [Batch(move, events=[recorded(run, 1)]) for move, run in zip(moves, runs, strict=True)]
    done = await asyncio.gather(
        *(owner.transact(batch) for owner, batch in zip(owners, batches, strict=True)), return_exceptions=True
    )
    assert sum(isinstance(error, Fenced | LedgerUnavailable) for error in done) == 3, done
    winner = runs[done.index(None)]
    assert (await owners[0].load(runs)).histories.keys() == {winner}


async def test_the_first_answer_stands(store: Store) -> None:
    """A command that was refused keeps its answer, whatever is written later, in the same batch or in another."""
    refused, sha = uuid4(), "a" * 64
    first = refusal(refused, "run_not_found", sha)
    await write(store, 0, 1, refusals=[first, refusal(refused, "not_allowed")])
    await write(store, 1, 2, refusals=[refusal(refused, "subject_changed")])
    known = await store.load([ASKED, uuid4()])
    assert known.refusals == {refused: first}
    assert (await store.load([uuid4()])).refusals == {}, "what another run refused is not its own"


async def test_events_of_all_runs_are_read_in_the_order_they_were_written(store: Store) -> None:
    """Pages by position hold every event once, in order, gaps or not; each batch that was fenced leaves a gap."""
    runs: list[UUID] = [uuid4() for _ in range(3)]
    written: list[StoredEvent] = []
    for after, version in enumerate(range(1, 8)):
        events = [recorded(run_id, version) for run_id in runs]
        await write(store, after, after + 1, events=events)
        written += events
        for _ in range(version):
            with pytest.raises(Fenced):
                await store.transact(Batch([Move(0, 0, 9)], events=[recorded(uuid4(), 1)]))
    read: list[tuple[int, StoredEvent]] = []
    position = 1
    while page := await store.events_from(position, 4):
        assert len(page) <= 4
        read += page
        position = page[-1][0] + 1
    assert [event for _, event in read] == written
    assert await store.last_position() >= read[-1][0]
