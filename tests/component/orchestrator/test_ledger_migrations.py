"""The ledger's tables in PostgreSQL: made by several at once, and kept from the version before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.ports import LedgerUnavailable
from orchestrator.runs import Due, command_of
from orchestrator.runs.aggregate import RUN
from testkit.postgres.unreliable import dump, execute

from .conftest import LOG
from .entries import ASKED, recorded, refusal, write


async def test_several_may_create_the_tables_at_once(postgres_url: str) -> None:
    """Services that start together do not trip over each other, and what is there stays."""
    ledgers = [PostgresLedger(postgres_url, LOG, RUN) for _ in range(5)]
    await asyncio.gather(*(ledger.migrate() for ledger in ledgers))
    await write(ledgers[0], 0, 1, events=[recorded(uuid4(), 1)])
    await asyncio.gather(*(ledger.migrate() for ledger in ledgers))
    assert await ledgers[1].last_position() == 1
    for ledger in ledgers:
        await ledger.close()


async def test_events_of_the_version_before_are_kept(postgres_url: str) -> None:
    """They were a row each; after an upgrade they are read as before, in their order, and what is decided then follows on."""
    run_id = uuid4()
    before = [recorded(run_id, version) for version in (1, 2)]
    await execute(postgres_url, _EVENTS_BEFORE)
    for _, event, body in before:
        await execute(
            postgres_url,
            "INSERT INTO ledger.events (run_id, version, kind, record) VALUES ($1, $2, $3, $4)",
            *(run_id, event.version, event.kind, body),
        )
    ledger = PostgresLedger(postgres_url, LOG, RUN)
    for _ in range(2):
        await ledger.migrate()
    after = [recorded(run_id, version) for version in (3, 4)]
    await write(ledger, 0, 1, events=after)
    assert (await ledger.load([run_id])).histories == {run_id: before + after}
    assert [event for _, event in await ledger.events_from(1, 10)] == before + after
    told = [(run_id, event.version, event.kind, body) for _, event, body in before + after]
    assert [row[:4] for row in (await dump(postgres_url))["events"]] == told
    await ledger.close()


_EVENTS_BEFORE = """
CREATE SCHEMA ledger;
CREATE TABLE ledger.events (
    run_id uuid NOT NULL, version integer NOT NULL, kind text NOT NULL, record bytea NOT NULL,
    position bigint NOT NULL GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (run_id, version));
CREATE INDEX events_position ON ledger.events USING brin (position) WITH (pages_per_range = 16, autosummarize = on)"""


async def test_a_view_that_somebody_made_of_the_version_before_is_not_dropped(postgres_url: str) -> None:
    """The upgrade says whose view is in its way, and changes nothing; once it is gone, the tables are made."""
    await execute(postgres_url, _EVENTS_BEFORE)
    await execute(postgres_url, "CREATE VIEW theirs AS SELECT kind FROM ledger.events")
    ledger = PostgresLedger(postgres_url, LOG, RUN)
    with pytest.raises(LedgerUnavailable, match="view theirs depends on column kind"):
        await ledger.migrate()
    await execute(postgres_url, "SELECT kind, record FROM ledger.events")
    await execute(postgres_url, "DROP VIEW theirs")
    await ledger.migrate()
    await ledger.close()


async def test_refusals_of_the_version_before_are_kept(postgres_url: str) -> None:
    """They did not say whose they are; after an upgrade they are found with their runs."""
    refused = uuid4()
    await execute(
        postgres_url,
        "CREATE SCHEMA ledger; CREATE TABLE ledger.refusals (command_id uuid PRIMARY KEY, request_sha256 text, outcome bytea NOT NULL, "
        "at timestamptz NOT NULL DEFAULT now())",
    )
    known = refusal(refused, request_sha256="a" * 64)
    body = known.outcome
    await execute(postgres_url, "INSERT INTO ledger.refusals VALUES ($1, $2, $3)", refused, "a" * 64, body)
    ledger = PostgresLedger(postgres_url, LOG, RUN)
    for _ in range(2):
        await ledger.migrate()
    assert (await ledger.load([ASKED])).refusals == {refused: known}
    await ledger.close()


async def test_deadlines_of_the_version_before_are_kept(postgres_url: str) -> None:
    """They were whole commands; after an upgrade the same ones fall due."""
    run_id, checkpoint_id, at = uuid4(), uuid4(), datetime.now(UTC) - timedelta(hours=1)
    await execute(
        postgres_url,
        "CREATE SCHEMA ledger; CREATE TABLE ledger.deadlines (run_id uuid PRIMARY KEY, due_at timestamptz, command bytea NOT NULL)",
    )
    lease = Due("expire-lease.v1", "acme", at, "w", 2)
    checkpoint = Due("expire-checkpoint.v1", "default", at, str(checkpoint_id), 1)
    for of, said in ((run_id, lease), (checkpoint_id, checkpoint)):
        command = command_of(of, said)
        assert command is not None
        body = command.model_dump_json().encode()
        await execute(postgres_url, "INSERT INTO ledger.deadlines VALUES ($1, $2, $3)", of, at, body)
    ledger = PostgresLedger(postgres_url, LOG, RUN)
    for _ in range(2):
        await ledger.migrate()
    taken = {deadline.stream_id: deadline.due for deadline in await ledger.take_due(["run"], 10)}
    assert taken == {run_id: lease, checkpoint_id: checkpoint}
    await ledger.close()
