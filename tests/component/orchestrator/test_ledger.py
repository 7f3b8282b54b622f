"""What every `Ledger` promises, held against PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from contracts.runs import events as e
from contracts.runs.outcomes import Refused
from local_stack.postgres import Postgres
from local_stack.waiting import until
from orchestrator.adapters.ledger import PostgresLedger
from orchestrator.adapters.recorder import AGAIN_SECONDS
from orchestrator.ports import Batch, Fenced, LedgerAway, Move, Recorded, RefusedRequest
from orchestrator.run import Deadline, Due, command_of
from support.ledgers import Cable, dump, execute

from .conftest import LOG, MakeLedger

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def recorded(run_id: UUID, version: int, reason: str = "because") -> Recorded:
    """Return an event in its place."""
    event = e.RunEvent(
        kind=e.RunPaused.kind,
        run_id=run_id,
        version=version,
        at=NOW,
        tenant="default",
        user_id=None,
        session_id=None,
        actor="ann",
        cause=uuid4(),
        data=e.RunPaused(reason=reason),
    )
    return Recorded(event, event.to_bytes())


ASKED = uuid4()
"""The run that refuses."""


def refusal(of: UUID, code: str = "not_allowed", request_sha256: str | None = None) -> RefusedRequest:
    """Return a refusal to remember."""
    return RefusedRequest(Refused(command_id=of, run_id=ASKED, code=code, message="no"), request_sha256)


def due(run_id: UUID, at: datetime, attempt: int = 1) -> Deadline:
    """Return a time that a run waits for."""
    return Deadline(run_id, Due("expire-lease.v1", "default", at, "w", attempt))


async def write(
    ledger: PostgresLedger, before: int, after: int, *, partition: int = 0, **what: Sequence[object]
) -> None:
    """Write a batch that moves one partition."""
    await ledger.positions([partition])
    await ledger.transact(Batch([Move(partition, before, after)], **what))  # type: ignore[arg-type]


async def test_what_was_written_is_loaded_byte_for_byte_and_in_order(ledger: PostgresLedger) -> None:
    """Events come back by run, in the order of their versions, as the bytes that were given."""
    one, two = uuid4(), uuid4()
    events = [recorded(one, 1), recorded(two, 1), recorded(one, 2, "ü\u2028 \\u0000 \x00"), recorded(one, 3)]
    await write(ledger, 0, 4, events=events)
    known = await ledger.load([one, two, uuid4()])
    assert known.histories == {one: [events[0], events[2], events[3]], two: [events[1]]}


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


async def test_refusals_of_the_version_before_are_kept(make_ledger: MakeLedger, ledger_url: str) -> None:
    """They did not say whose they are; after an upgrade they are found with their runs."""
    refused = uuid4()
    await execute(ledger_url, "DROP TABLE ledger.refusals")
    await execute(
        ledger_url,
        "CREATE TABLE ledger.refusals (command_id uuid PRIMARY KEY, request_sha256 text, outcome bytea NOT NULL, "
        "at timestamptz NOT NULL DEFAULT now())",
    )
    known = refusal(refused, request_sha256="a" * 64)
    body = known.outcome.model_dump_json().encode()
    await execute(ledger_url, "INSERT INTO ledger.refusals VALUES ($1, $2, $3)", refused, "a" * 64, body)
    ledger = make_ledger()
    for _ in range(2):
        await ledger.create_tables()
    assert (await ledger.load([ASKED])).refusals == {refused: known}


async def test_a_deadline_is_set_moved_and_cleared(ledger: PostgresLedger) -> None:
    """A run waits for one time: the last that was set, or none."""
    run_id, long_ago = uuid4(), datetime.now(UTC) - timedelta(hours=1)
    await write(ledger, 0, 1, deadlines=[due(run_id, datetime.now(UTC) + timedelta(hours=1))])
    assert await ledger.take_due(10) == []
    await write(ledger, 1, 2, deadlines=[due(run_id, long_ago, attempt=2)])
    assert await ledger.take_due(10) == [due(run_id, long_ago, attempt=2)]
    await write(ledger, 2, 3, deadlines=[Deadline(run_id, None)])
    assert await ledger.waiting(UUID(int=0), 10) == []


async def test_deadlines_of_the_version_before_are_kept(make_ledger: MakeLedger, ledger_url: str) -> None:
    """They were whole commands; after an upgrade the same ones fall due."""
    run_id, checkpoint_id, at = uuid4(), uuid4(), datetime.now(UTC) - timedelta(hours=1)
    await execute(ledger_url, "DROP TABLE ledger.deadlines")
    await execute(
        ledger_url,
        "CREATE TABLE ledger.deadlines (run_id uuid PRIMARY KEY, due_at timestamptz, command bytea NOT NULL)",
    )
    lease = Due("expire-lease.v1", "acme", at, "w", 2)
    checkpoint = Due("expire-checkpoint.v1", "default", at, str(checkpoint_id), 1)
    for of, said in ((run_id, lease), (checkpoint_id, checkpoint)):
        body = command_of(of, said).model_dump_json().encode()
        await execute(ledger_url, "INSERT INTO ledger.deadlines VALUES ($1, $2, $3)", of, at, body)
    ledger = make_ledger()
    for _ in range(2):
        await ledger.create_tables()
    taken = {deadline.run_id: deadline.due for deadline in await ledger.take_due(10)}
    assert taken == {run_id: lease, checkpoint_id: checkpoint}


async def test_what_is_due_is_taken_once_by_several_takers(make_ledger: MakeLedger) -> None:
    """Clocks that look at the same time share the rows between them, none twice."""
    takers = [make_ledger() for _ in range(4)]
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await write(takers[0], 0, 1, deadlines=[due(uuid4(), long_ago) for _ in range(200)])
    taken: list[Deadline] = []
    while found := await asyncio.gather(*(taker.take_due(15) for taker in takers)):
        assert all(len(rows) <= 15 for rows in found)
        if not any(found):
            break
        taken += [deadline for rows in found for deadline in rows]
    assert len(taken) == len(set(taken)) == 200


async def test_what_was_taken_falls_due_again_until_the_run_moves_on(ledger: PostgresLedger, ledger_url: str) -> None:
    """A command that got lost is taken again after AGAIN_SECONDS; one whose run moved on is not."""
    lost, moved = uuid4(), uuid4()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await write(ledger, 0, 1, deadlines=[due(lost, long_ago), due(moved, long_ago)])
    assert len(await ledger.take_due(10)) == 2
    await write(ledger, 1, 2, deadlines=[Deadline(moved, None)])
    assert await ledger.take_due(10) == []
    later = "UPDATE ledger.deadlines SET due_at = due_at - make_interval(secs => $1)"
    await execute(ledger_url, later, AGAIN_SECONDS)
    assert [taken.run_id for taken in await ledger.take_due(10)] == [lost]


async def test_a_transaction_does_not_wait_for_a_clock_nor_a_clock_for_it(
    make_ledger: MakeLedger, ledger_url: str
) -> None:
    """A row that somebody holds is skipped by the clock."""
    clock, held, free = make_ledger(), uuid4(), uuid4()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await write(clock, 0, 1, deadlines=[due(held, long_ago), due(free, long_ago)])
    holder = await asyncpg.connect(ledger_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM ledger.deadlines WHERE run_id = $1 FOR UPDATE", held)
        assert [taken.run_id for taken in await clock.take_due(10)] == [free]
    await holder.close()
    assert [taken.run_id for taken in await clock.take_due(10)] == [held]


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


async def test_runs_that_wait_come_in_pages_by_id(ledger: PostgresLedger) -> None:
    """Every run that waits for a time is found once."""
    runs = [uuid4() for _ in range(7)]
    await write(ledger, 0, 1, deadlines=[due(run_id, NOW) for run_id in runs])
    found, after = [], UUID(int=0)
    while page := await ledger.waiting(after, 3):
        found += page
        after = page[-1]
    assert found == sorted(runs)


async def test_several_may_create_the_tables_at_once(postgres_url: str) -> None:
    """Services that start together do not trip over each other, and what is there stays."""
    ledgers = [PostgresLedger(postgres_url, LOG) for _ in range(5)]
    await asyncio.gather(*(ledger.create_tables() for ledger in ledgers))
    await write(ledgers[0], 0, 1, events=[recorded(uuid4(), 1)])
    await asyncio.gather(*(ledger.create_tables() for ledger in ledgers))
    assert await ledgers[1].last_position() == 1
    for ledger in ledgers:
        await ledger.close()


async def test_every_call_says_that_the_server_is_away_and_the_same_object_recovers(
    private_postgres: Postgres,
) -> None:
    """Killed and started again, the server is used again by the same ledger, which lost nothing that it had written."""
    ledger, run_id = PostgresLedger(private_postgres.url(), LOG), uuid4()
    await ledger.create_tables()
    await write(ledger, 0, 1, events=[recorded(run_id, 1)])
    private_postgres.kill()
    calls = (
        lambda: ledger.transact(Batch([Move(0, 1, 2)], events=[recorded(run_id, 2)])),
        lambda: ledger.load([run_id]),
        lambda: ledger.positions([0]),
        lambda: ledger.take_due(10),
        lambda: ledger.waiting(UUID(int=0), 10),
        lambda: ledger.events_from(1, 10),
        ledger.is_new_log,
        ledger.last_position,
        ledger.check,
        ledger.create_tables,
    )
    for call in calls:
        with pytest.raises(LedgerAway) as away:
            await call()
        assert str(away.value)
    await private_postgres.start()
    assert await ledger.positions([0]) == {0: 1}
    await ledger.transact(Batch([Move(0, 1, 2)], events=[recorded(run_id, 2)]))
    assert len((await ledger.load([run_id])).histories[run_id]) == 2
    await ledger.close()


@pytest.mark.parametrize("arrives", [False, True])
async def test_a_write_whose_answer_is_cut_off_is_whole_or_absent(*, arrives: bool, ledger_url: str) -> None:
    """The connection breaks in the middle of a transaction, or behind it: LedgerAway, and all of it was written or nothing."""
    cable, run_id = Cable(ledger_url), uuid4()
    await cable.plug()
    far = PostgresLedger(cable.url, LOG)
    await far.positions([0])
    said = b"INSERT INTO ledger.deadlines"
    (cable.cut_after if arrives else cable.cut_within)(said)
    with pytest.raises(LedgerAway):
        await far.transact(Batch([Move(0, 0, 1)], [recorded(run_id, 1)], [refusal(run_id)], [due(run_id, NOW)]))

    async def nobody_writes() -> bool:
        async with asyncio.timeout(5):
            return (await far.positions([0])) == ({0: 1} if arrives else {0: 0})

    await until(nobody_writes, 5, "what was cut off is decided")
    held = await dump(ledger_url)
    assert [len(held[table]) for table in ("events", "refusals", "deadlines")] == [int(arrives)] * 3
    with pytest.raises(Fenced):
        await far.transact(Batch([Move(0, 0 if arrives else 9, 9)]))
    await far.close()
    await cable.unplug()


async def test_a_ledger_is_closed_under_a_statement_that_does_not_come_back(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    """Closing does not wait for a server that hangs: the statement fails, the thread ends; closing again does nothing."""
    await ledger.positions([0])
    holder = await asyncpg.connect(ledger_url)
    async with holder.transaction():
        await holder.execute("LOCK TABLE ledger.intake")
        hanging = asyncio.ensure_future(ledger.transact(Batch([Move(0, 0, 1)])))

        async def waits() -> bool:
            return bool(await holder.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await until(waits, 5, "the statement hangs")
        async with asyncio.timeout(5):
            await ledger.close()
        with pytest.raises(LedgerAway):
            await hanging
    await holder.close()
    await ledger.close()
