"""Votes of who has left, on the real tables: keys and tokens say who is a member when a vote comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Hashable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio

from chassis.postgres.connections import ConnectionPool, Connector
from chassis.postgres.migrations import migrate
from contracts.identity import Principal, Role
from contracts.runs.run_event import RunEvent
from contracts.topics import EVENTS
from identity.keys.record import KeyRecord, new_key
from identity.keys.store import KeyStore
from identity.people.store import PeopleStore
from orchestrator.adapters.postgres.memberships import Memberships
from orchestrator.aggregate import Facts
from orchestrator.ports import LedgerUnavailable
from testkit.kafka.memory_publisher import Publications
from testkit.runs.command_records import Log, approve, prepared, start
from testkit.runs.people import principal

from .conftest import MakeOwner

RULES = {"review": {"candidates": {"groups": ["legal"]}, "approvals_required": 2}}
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def lawyer(name: str) -> Principal:
    """Return a reviewer of the group legal."""
    return principal(name, Role.REVIEWER, groups=("legal",))


@pytest_asyncio.fixture
async def pool(ledger_url: str) -> AsyncIterator[ConnectionPool]:
    """Give the database of the ledger, with the tables of identity, empty."""
    await asyncio.to_thread(migrate, ledger_url, {"identity": "identity.migrations"})
    pool = ConnectionPool(Connector(ledger_url, "tests", 5.0), 2, 20.0)
    await pool.open()
    await pool.execute("TRUNCATE identity.api_keys, identity.people CASCADE")
    yield pool
    pool.close()


async def key_of(pool: ConnectionPool, who: Principal, **members: Any) -> UUID:
    """Make a key for a person."""
    made = new_key()
    known: dict[str, Any] = {
        "id": uuid4(),
        "tenant": who.tenant,
        "name": who.subject,
        "subject": who.subject,
        "kind": who.kind,
        "roles": who.roles,
        "groups": who.groups,
        "owner": who.owner,
        "prefix": made.prefix,
        "created_at": NOW,
        "created_by": "test",
    }
    record = KeyRecord(**{**known, **members})
    await KeyStore(pool).add(record, made.sha256)
    return record.id


async def votes(make_owner: MakeOwner, ledger_url: str, log: Log, run_id: UUID, *people: Principal) -> Publications:
    """Let people vote, one after the other; return what the last vote published."""
    owner = make_owner(look_up=Memberships(ledger_url, lambda: NOW).look_up)
    sent = await owner.take(log.records)
    for who in people:
        begun = len(log.records)
        log.write(approve(run_id, principal=who, actor=who.subject))
        sent = await owner.take(log.records[begun:])
    return sent


async def waiting(log: Log) -> UUID:
    """Write the commands of a run that needs two votes of the group legal."""
    run_id = uuid4()
    log.write(start(run_id, hitl=RULES), prepared(run_id))
    return run_id


async def test_a_vote_stands_while_one_of_the_persons_keys_holds(
    make_owner: MakeOwner, ledger_url: str, pool: ConnectionPool
) -> None:
    """The other may be revoked, and a service of the person is one of its keys."""
    ann, bo, log = lawyer("ann"), lawyer("bo"), Log()
    await KeyStore(pool).revoke("default", await key_of(pool, ann), NOW)
    bot = {"subject": "anns-bot", "kind": "service", "owner": "ann"}
    await key_of(pool, ann, **bot)
    sent = await votes(make_owner, ledger_url, log, await waiting(log), ann, bo)
    assert sent.kinds()[:2] == ["vote-cast.v1", "checkpoint-approved.v1"]


async def test_a_vote_of_a_person_whose_keys_ended_counts_no_more(
    make_owner: MakeOwner, ledger_url: str, pool: ConnectionPool
) -> None:
    """Revoked, expired, of another group, or of another tenant: none of them is a membership."""
    ann, bo, log = lawyer("ann"), lawyer("bo"), Log()
    await KeyStore(pool).revoke("default", await key_of(pool, ann), NOW)
    await key_of(pool, ann, expires_at=NOW)
    await key_of(pool, ann, groups=("sales",))
    await key_of(pool, ann, tenant="elsewhere")
    sent = await votes(make_owner, ledger_url, log, await waiting(log), ann, bo)
    assert sent.kinds() == ["vote-cast.v1"]
    (event,) = (RunEvent.parse(record.value) for record in sent.on(EVENTS.name) if record.value is not None)
    assert getattr(event.data, "left", None) == ("ann",)


async def test_a_person_of_tokens_is_what_its_last_token_said(
    make_owner: MakeOwner, ledger_url: str, pool: ConnectionPool
) -> None:
    """Of whom nothing is known, the vote stands."""
    ann, bo, cy, log = lawyer("ann"), lawyer("bo"), lawyer("cy"), Log()
    people = PeopleStore(pool)
    await people.note(ann, NOW)
    await people.note(ann.changed({"groups": ("sales",)}), NOW)
    sent = await votes(make_owner, ledger_url, log, await waiting(log), ann, bo)
    assert sent.kinds() == ["vote-cast.v1"]
    await people.note(bo, NOW)
    sent = await votes(make_owner, ledger_url, log, await waiting(log), cy, bo)
    assert sent.kinds()[:2] == ["vote-cast.v1", "checkpoint-approved.v1"]


async def test_a_batch_is_held_while_memberships_cannot_be_looked_up(make_owner: MakeOwner, ledger_url: str) -> None:
    """No vote is counted of which it is not known whether it counts, and none is lost."""
    answers = [False]

    async def look_up(asked: Collection[Hashable]) -> Facts:
        if not answers[0]:
            raise LedgerUnavailable("the directory is silent")
        return dict.fromkeys(asked)

    log = Log()
    run_id = await waiting(log)
    owner = make_owner(look_up=look_up)
    await owner.take([*log.records, *log.write(approve(run_id, principal=lawyer("ann"), actor="ann"))])
    held = asyncio.create_task(owner.take(log.write(approve(run_id, principal=lawyer("bo"), actor="bo"))))
    while owner.intake.obstacle.reason is None:  # noqa: ASYNC110 - it sets no event
        await asyncio.sleep(0.01)
    answers[0] = True
    assert (await held).kinds()[:2] == ["vote-cast.v1", "checkpoint-approved.v1"]
    assert ledger_url
