"""What a `Ledger` promises of a batch, held against PostgreSQL: written whole by one owner or not at all, and read as it was."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from component.orchestrator.entries import ASKED, NOW, due, recorded, refusal, write
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.ports import Batch, Fenced, LedgerAway, Move, Recorded
from orchestrator.runs import Deadline
from testkit.postgres.unreliable import dump

from .conftest import MakeLedger


async def test_what_was_written_is_loaded_byte_for_byte_and_in_order(ledger: PostgresLedger) -> None:
    """Events come back by run, in the order of their versions, as the bytes that were given."""
    one, two = uuid4(), uuid4()
    events = [recorded(one, 1), recorded(two, 1), recorded(one, 2, "ü\u2028 \\u0000 \x00"), recorded(one, 3)]
    await write(ledger, 0, 4, events=events)
    known = await ledger.load([one, two, uuid4()])
    assert known.histories == {one: [events[0], events[2], events[3]], two: [events[1]]}


async def test_what_one_command_caused_is_one_row(ledger: PostgresLedger, ledger_url: str) -> None:
    """A row for each command and run; its events are its lines, and read one by one as they are published."""
    one, two, cause = uuid4(), uuid4(), uuid4()
    caused = [recorded(one, 1, cause=cause), recorded(one, 2, "two\nlines", cause=cause)]
    others = [recorded(two, 1, cause=cause), recorded(one, 3)]
    await write(ledger, 0, 3, events=[*caused, *others])
    held = await dump(ledger_url)
    assert [row[:3] for row in held["decisions"]] == [
        (one, 1, caused[0].body + b"\n" + caused[1].body),
        (two, 1, others[0].body),
        (one, 3, others[1].body),
    ]
    told = [(event.run_id, event.version, event.kind, body) for event, body in [*caused, *others]]
    assert [row[:4] for row in held["events"]] == told
    assert [event for _, event in await ledger.events_from(1, 10)] == [*caused, *others]
    assert [event for _, event in await ledger.events_from(1, 1)] == caused, "a decision is never torn apart"


async def test_a_partition_that_was_never_decided_stands_at_zero(ledger: PostgresLedger) -> None:
    """Positions begin at 0 and end where the last batch moved them."""
    assert await ledger.positions([0, 3]) == {0: 0, 3: 0}
    await ledger.transact(Batch([Move(0, 0, 7), Move(3, 0, 2)]))
    assert await ledger.positions([0, 3, 1]) == {0: 7, 3: 2, 1: 0}


async def test_positions_belong_to_one_log(ledger: PostgresLedger, ledger_url: str) -> None:
    """Another log begins at 0 and moves for itself; only the first look at it finds it new."""
    await write(ledger, 0, 5)
    other = PostgresLedger(ledger_url, "another log")
    assert await other.is_new_log()
    assert await other.positions([0]) == {0: 0}
    assert not await other.is_new_log()
    await other.transact(Batch([Move(0, 0, 1)]))
    assert (await ledger.positions([0]), await other.positions([0])) == ({0: 5}, {0: 1})
    await other.close()


async def test_a_position_that_moved_on_fences_the_whole_batch(ledger: PostgresLedger, ledger_url: str) -> None:
    """Nothing is written when one of several partitions stands elsewhere: no event, refusal, deadline or position."""
    run_id = uuid4()
    await write(ledger, 0, 3, deadlines=[due(run_id, NOW)])
    before = await dump(ledger_url)
    with pytest.raises(Fenced):
        await ledger.transact(
            Batch(
                [Move(0, 2, 4), Move(1, 0, 1)],
                events=[recorded(run_id, 1)],
                refusals=[refusal(uuid4())],
                deadlines=[Deadline(run_id, None)],
            )
        )
    assert await dump(ledger_url) == before


async def test_a_partition_that_nobody_looked_at_is_fenced(ledger: PostgresLedger) -> None:
    """A move of a position that does not exist writes nothing."""
    run_id = uuid4()
    with pytest.raises(Fenced):
        await ledger.transact(Batch([Move(2, 0, 1)], events=[recorded(run_id, 1)]))
    assert (await ledger.load([run_id])).histories == {}


async def test_a_version_that_exists_fences_the_whole_batch(ledger: PostgresLedger, ledger_url: str) -> None:
    """The key (run, version) is the second guard: nothing is written, the position stays, and the ledger goes on."""
    run_id = uuid4()
    await write(ledger, 0, 1, events=[recorded(run_id, 1)])
    before = await dump(ledger_url)
    with pytest.raises(Fenced):
        await ledger.transact(
            Batch(
                [Move(0, 1, 2)],
                events=[recorded(uuid4(), 1), recorded(run_id, 1, "other")],
                refusals=[refusal(uuid4())],
                deadlines=[due(run_id, NOW)],
            )
        )
    assert await dump(ledger_url) == before
    await ledger.transact(Batch([Move(0, 1, 2)], events=[recorded(run_id, 2)]))
    assert len((await ledger.load([run_id])).histories[run_id]) == 2


@pytest.mark.parametrize("known", ["event", "refusal"])
async def test_a_run_that_had_begun_before_fences_the_whole_batch(
    known: str, ledger: PostgresLedger, ledger_url: str
) -> None:
    """Taken to begin, a run may have neither events nor refusals: with either, nothing is written."""
    unknown = uuid4()
    await write(
        ledger, 0, 1, **{"events": [recorded(ASKED, 1)]} if known == "event" else {"refusals": [refusal(uuid4())]}
    )
    before = await dump(ledger_url)
    with pytest.raises(Fenced):
        await ledger.transact(Batch([Move(0, 1, 2)], [recorded(unknown, 1)], begun={unknown, ASKED}))
    assert await dump(ledger_url) == before
    await ledger.transact(Batch([Move(0, 1, 2)], [recorded(unknown, 1)], begun={unknown}))
    assert len((await dump(ledger_url))["events"]) == len(before["events"]) + 1


async def test_of_two_owners_at_once_one_writes(make_ledger: MakeLedger) -> None:
    """However many owners move a position from where it stands, one of them succeeds and the others are fenced."""
    owners = [make_ledger() for _ in range(4)]
    runs = [uuid4() for _ in owners]
    await owners[0].positions([0, 1])
    moves = [[Move(0, 0, 1), Move(1, 0, 1)], [Move(1, 0, 1), Move(0, 0, 1)]] * 2
    batches = [Batch(move, events=[recorded(run, 1)]) for move, run in zip(moves, runs, strict=True)]
    done = await asyncio.gather(
        *(owner.transact(batch) for owner, batch in zip(owners, batches, strict=True)), return_exceptions=True
    )
    assert sum(isinstance(error, Fenced | LedgerAway) for error in done) == 3, done
    winner = runs[done.index(None)]
    assert (await owners[0].load(runs)).histories.keys() == {winner}


async def test_the_first_answer_stands(ledger: PostgresLedger) -> None:
    """A command that was refused keeps its answer, whatever is written later, in the same batch or in another."""
    refused, sha = uuid4(), "a" * 64
    first = refusal(refused, "run_not_found", sha)
    await write(ledger, 0, 1, refusals=[first, refusal(refused, "not_allowed")])
    await write(ledger, 1, 2, refusals=[refusal(refused, "subject_changed")])
    known = await ledger.load([ASKED, uuid4()])
    assert known.refusals == {refused: first}
    assert (await ledger.load([uuid4()])).refusals == {}, "what another run refused is not its own"


async def test_events_of_all_runs_are_read_in_the_order_they_were_written(ledger: PostgresLedger) -> None:
    """Pages by position hold every event once, in order, gaps or not; each batch that was fenced leaves a gap."""
    runs: list[UUID] = [uuid4() for _ in range(3)]
    written: list[Recorded] = []
    for after, version in enumerate(range(1, 8)):
        events = [recorded(run_id, version) for run_id in runs]
        await write(ledger, after, after + 1, events=events)
        written += events
        for _ in range(version):
            with pytest.raises(Fenced):
                await ledger.transact(Batch([Move(0, 0, 9)], events=[recorded(uuid4(), 1)]))
    read: list[tuple[int, Recorded]] = []
    position = 1
    while page := await ledger.events_from(position, 4):
        assert len(page) <= 4
        read += page
        position = page[-1][0] + 1
    assert [event for _, event in read] == written
    assert await ledger.last_position() >= read[-1][0]
