"""Slots and places on a real PostgreSQL: the rule of `rate_limits.reservations`, in one statement, for all workers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from local_stack.postgres.server import Postgres
from provider_worker.adapters.postgres.database import Database
from provider_worker.adapters.postgres.reservations import PostgresReservations
from provider_worker.errors import DatabaseUnavailable
from provider_worker.rate_limits.gcra import AHEAD, BURST_SECONDS, LEASE_SECONDS, TOKEN_SECONDS, Pace, pace_of
from provider_worker.rate_limits.reservations import Account, ReservedSlots, Rule
from testkit.processes.killed_reservation import reserve_until_killed

HOLDERS = ("ann", "bob", "cleo")


@contextlib.asynccontextmanager
async def database_on(url: str) -> AsyncIterator[Database]:
    """Give a database with the worker's tables."""
    database = Database(url)
    await database.open()
    yield database
    database.close()


@pytest.mark.parametrize("seed", range(6))
async def test_the_statement_keeps_the_rule_to_the_letter(database: Database, seed: int) -> None:
    """Asked the same at the same moments, PostgreSQL and the rule in Python give the same slots."""
    drawn, account, reservations = Random(seed), Account(), PostgresReservations(database)  # noqa: S311 - a story, no secret
    rule = Rule("acme", pace_of(drawn.choice([3, 90, 1200])), drawn.choice([None, 4000]), drawn.choice([None, 6]))
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    for _ in range(120):
        now += timedelta(milliseconds=drawn.choice([0, 40, 400, 4000, 40_000]))
        reservations.turned = now
        tokens = [drawn.choice([0, 10, 900, 5000]) for _ in range(drawn.randrange(5))]
        asked = (rule, drawn.choice(HOLDERS), drawn.randrange(3), tokens)
        assert _rounded(await reservations.reserve(*asked)) == _rounded(account.reserve(*asked, now.timestamp()))


async def test_of_many_workers_at_once_none_gets_another_s_slot(database: Database) -> None:
    """All slots of all workers stand a gap apart, in any order of asking."""
    reservations, rule = PostgresReservations(database, datetime.now(UTC)), Rule("acme", Pace(0.05, burst=1))
    asking = (reservations.reserve(rule, f"worker-{number}", 0, [0] * 5) for number in range(16))
    slots = [round(begins, 3) for reserved in await asyncio.gather(*asking) for begins in reserved.begins_in]
    assert sorted(slots) == [round(0.05 * number, 3) for number in range(1 + int(AHEAD / 0.05))]


async def test_tokens_that_were_not_used_are_given_to_the_next(database: Database) -> None:
    """And those that were used beyond the estimate are taken from it."""
    now = datetime.now(UTC)
    reservations, rule = PostgresReservations(database, now), Rule("acme", tokens=1000)
    first = await reservations.reserve(rule, "ann", 0, [900])
    reservations.turned = now + timedelta(seconds=BURST_SECONDS + 1)
    assert await _given(reservations, rule, 200) == 0
    await reservations.settle(rule, first.seconds[0], -700)
    assert await _given(reservations, rule, 200) == 1
    reservations.turned += timedelta(seconds=BURST_SECONDS + 1)
    await reservations.settle(rule, first.seconds[0], 600)
    assert await _given(reservations, rule, 1) == 0


async def test_a_minute_s_tokens_are_not_spent_at_once(database: Database) -> None:
    """A fifth of them, then no more for some seconds."""
    now = datetime.now(UTC)
    reservations, rule = PostgresReservations(database, now), Rule("acme", tokens=1000)
    assert len((await reservations.reserve(rule, "ann", 0, [100] * 5)).begins_in) == 2
    reservations.turned = now + timedelta(seconds=BURST_SECONDS + 1)
    assert len((await reservations.reserve(rule, "ann", 0, [100] * 5)).begins_in) == 2


async def test_tokens_are_free_again_after_their_minute(database: Database) -> None:
    """Not before."""
    now = datetime.now(UTC).replace(microsecond=0)
    reservations, rule = PostgresReservations(database, now), Rule("acme", tokens=1000)
    assert await _given(reservations, rule, 1000) == 1
    reservations.turned = now + timedelta(seconds=TOKEN_SECONDS - 1)
    assert await _given(reservations, rule, 1) == 0
    reservations.turned = now + timedelta(seconds=TOKEN_SECONDS)
    assert await _given(reservations, rule, 1) == 1


async def test_a_closed_account_gives_nobody_a_slot_until_then(database: Database) -> None:
    """A Retry-After that one worker got holds for all; a shorter one does not open the account."""
    ann, bob, rule = PostgresReservations(database), PostgresReservations(database), Rule("acme", pace_of(600))
    await ann.close(rule, 40)
    await ann.close(rule, 1)
    reserved = await bob.reserve(rule, "bob", 0, [0])
    assert reserved.begins_in == []
    assert 30 < reserved.again_in < 40
    bob.turned = datetime.now(UTC) + timedelta(seconds=41)
    assert len((await bob.reserve(rule, "bob", 0, [0])).begins_in) == 1


async def test_accounts_know_nothing_of_each_other(database: Database) -> None:
    """Another key is another limit."""
    reservations = PostgresReservations(database, datetime.now(UTC))
    for name in ("acme", "globex"):
        assert await _given(reservations, Rule(name, pace_of(1)), 0) == 1
        assert await _given(reservations, Rule(name, pace_of(1)), 0) == 0


async def test_the_places_of_a_killed_worker_are_free_when_its_lease_has_run_out(
    module_postgres_url: str, database: Database
) -> None:
    """SIGKILL lets it say nothing; until the lease's end its calls may still be running."""
    rule, reservations = Rule("acme", places=3), PostgresReservations(database)
    assert await reserve_until_killed(module_postgres_url, rule, calls=4) == 3
    assert await _given(reservations, rule, 0) == 0
    reservations.turned = datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS + 1)
    assert await _given(reservations, rule, 0) == 1


async def test_a_restart_of_postgresql_forgets_no_slot_and_frees_no_place(private_postgres: Postgres) -> None:
    """However long it was unavailable: a worker with running calls has a lease's time from its start on to renew its places."""
    rule = Rule("acme", pace_of(1), places=3)
    async with database_on(private_postgres.url()) as database:
        assert len((await PostgresReservations(database).reserve(rule, "ann", 2, [0])).begins_in) == 1
        await database.pool.execute("update worker.places set asked_at = now() - interval '20 minutes'")
    private_postgres.kill()
    async with contextlib.AsyncExitStack() as left:
        database = Database(private_postgres.url())
        await database.connect()
        left.callback(database.close)
        with pytest.raises(DatabaseUnavailable):
            await _given(PostgresReservations(database), rule, 0)
        await private_postgres.start()
        reservations = PostgresReservations(database)
        assert await _given(reservations, Rule("acme", places=3), 0) == 0
        assert await _given(reservations, Rule("acme", pace_of(1)), 0) == 0


async def _given(reservations: PostgresReservations, rule: Rule, tokens: int) -> int:
    return len((await reservations.reserve(rule, "bob", 0, [tokens])).begins_in)


def _rounded(reserved: ReservedSlots) -> tuple[Sequence[float], Sequence[int], float]:
    return [round(begins, 3) for begins in reserved.begins_in], list(reserved.seconds), round(reserved.again_in, 3)
