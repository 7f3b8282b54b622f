"""A ledger whose PostgreSQL is away, cut off or hanging: it says so, nothing is half written, and it recovers."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest

from local_stack.postgres.server import Postgres
from local_stack.wait import until
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.ports import Batch, Fenced, LedgerError, LedgerUnavailable, Move
from orchestrator.runs.aggregate import RUN
from testkit.postgres.failover import failover_proxy
from testkit.postgres.unreliable import TcpProxy, dump, execute

from .conftest import LOG
from .entries import NOW, due, recorded, refusal, write


async def test_every_call_says_that_the_server_is_away_and_the_same_object_recovers(
    private_postgres: Postgres,
) -> None:
    """Killed and started again, the server is used again by the same ledger, which lost nothing that it had written."""
    ledger, run_id = PostgresLedger(private_postgres.url(), LOG, RUN), uuid4()
    await ledger.migrate()
    await write(ledger, 0, 1, events=[recorded(run_id, 1)])
    private_postgres.kill()
    calls = (
        lambda: ledger.transact(Batch([Move(0, 1, 2)], events=[recorded(run_id, 2)])),
        lambda: ledger.load([run_id]),
        lambda: ledger.positions([0]),
        lambda: ledger.take_due(["run"], 10),
        lambda: ledger.waiting(UUID(int=0), 10),
        lambda: ledger.events_from(1, 10),
        ledger.is_new_log,
        ledger.last_position,
        ledger.check,
        ledger.migrate,
    )
    for call in calls:
        with pytest.raises(LedgerUnavailable) as away:
            await call()
        assert str(away.value)
    await private_postgres.start()
    assert await ledger.positions([0]) == {0: 1}
    await ledger.transact(Batch([Move(0, 1, 2)], events=[recorded(run_id, 2)]))
    assert len((await ledger.load([run_id])).histories[run_id]) == 2
    await ledger.close()


@pytest.mark.parametrize("arrives", [False, True])
async def test_a_write_whose_answer_is_cut_off_is_whole_or_absent(*, arrives: bool, ledger_url: str) -> None:
    """The connection breaks in the middle of a transaction, or behind it: LedgerUnavailable, and all of it was written or nothing."""
    proxy, run_id = TcpProxy(ledger_url), uuid4()
    await proxy.open()
    far = PostgresLedger(proxy.url, LOG, RUN)
    await far.positions([0])
    said = str(run_id).encode()  # in the values of the statement, which the server knows by then
    (proxy.cut_after if arrives else proxy.cut_within)(said)
    with pytest.raises(LedgerUnavailable):
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
    await proxy.close()


async def test_a_ledger_that_gets_no_answer_is_unavailable_after_its_time(ledger_url: str) -> None:
    """The network swallows a call and ends no connection: the call, and those behind it, end; the same object recovers."""
    async with failover_proxy(ledger_url) as proxy:
        far = PostgresLedger(proxy.url, LOG, RUN, statement_seconds=1.0)
        assert await far.positions([0]) == {0: 0}
        proxy.swallow()
        async with asyncio.timeout(20):
            calls = await asyncio.gather(far.positions([0]), far.last_position(), far.check(), return_exceptions=True)
        assert [type(said) for said in calls] == [LedgerUnavailable] * 3
        proxy.flow()
        assert await far.positions([0]) == {0: 0}
        await far.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE ledger.commits RENAME TO other", "no table ledger.commits"),
        ("ALTER DATABASE {database} SET default_transaction_read_only = on", "takes no writes"),
    ],
)
async def test_a_ledger_that_answers_and_takes_no_commit_is_not_well(
    statement: str, said: str, postgres_url: str
) -> None:
    """A check asks for what is needed: a server that takes writes, and the tables."""
    ledger = PostgresLedger(postgres_url, LOG, RUN)
    await ledger.migrate()
    await execute(postgres_url, statement.format(database=postgres_url.rsplit("/", 1)[1]))
    with pytest.raises(LedgerUnavailable, match=said):
        await ledger.check()
    await ledger.close()


async def test_a_ledger_is_closed_under_a_statement_that_does_not_come_back(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    """Closing does not wait for a server that hangs: the statement fails, the connection ends; closing again does nothing."""
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
        with pytest.raises(LedgerUnavailable):
            await hanging
    await holder.close()
    await ledger.close()


async def test_callers_at_the_same_time_take_turns_on_one_connection(ledger: PostgresLedger, ledger_url: str) -> None:
    """A look at the ledger's health, a page of its archive and a batch, asked at once: each gets its answer, on one session."""
    await ledger.positions([0])
    run_id = uuid4()
    asked = (ledger.check(), ledger.transact(Batch([Move(0, 0, 1)], [recorded(run_id, 1)])), ledger.events_from(1, 10))
    _, _, events = await asyncio.gather(*asked)
    assert [stored.stream_id for _, stored in events] == [run_id]
    assert len(await sessions(ledger_url)) == 1


async def test_a_batch_that_is_refused_costs_no_connection(ledger: PostgresLedger, ledger_url: str) -> None:
    """Being overtaken, or beginning what had begun, is an answer: the session stays."""
    run_id = uuid4()
    await write(ledger, 0, 1, events=[recorded(run_id, 1)])
    before = await sessions(ledger_url)
    for refused in (Batch([Move(0, 7, 8)]), Batch([Move(0, 1, 2)], [recorded(run_id, 1)], begun=[run_id])):
        with pytest.raises(Fenced):
            await ledger.transact(refused)
    assert await ledger.positions([0]) == {0: 1}
    assert await sessions(ledger_url) == before


async def test_a_ledger_that_is_closed_while_it_connects_leaves_no_connection(
    ledger: PostgresLedger, ledger_url: str
) -> None:
    """Nothing is asked any more after the end, and what was being asked at the end keeps nothing open."""
    asking = asyncio.ensure_future(ledger.positions([0]))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(ledger.close())
    await asyncio.wait([asking, closing])
    with pytest.raises(LedgerError, match="closed"):
        await asking
    with pytest.raises(LedgerError, match="closed"):
        await ledger.check()

    async def alone() -> bool:
        return not await sessions(ledger_url)

    await until(alone, 5, "no session is left")


async def sessions(url: str) -> set[int]:
    """Return the server's numbers of the orchestrator's sessions."""
    asking = await asyncpg.connect(url)
    found = await asking.fetch(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'sayso-orchestrator' AND datname = current_database()"
    )
    await asking.close()
    return {row["pid"] for row in found}
