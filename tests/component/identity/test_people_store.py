"""Persons on PostgreSQL: what is written of them, and what their credentials say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from chassis.postgres.connections import ConnectionPool
from contracts.identity import Principal, Right, Role
from identity.keys.record import KeyRecord, new_key
from identity.keys.store import KeyStore
from identity.people.store import PeopleStore
from testkit.runs.people import principal

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def lawyer() -> Principal:
    """Return a person whom no other test knows."""
    return principal(f"ann {uuid4()}", Role.REVIEWER, groups=("legal",))


async def row_of(pool: ConnectionPool, who: Principal) -> tuple[object, ...]:
    """Return a person's row, and what tells one version and one lock of it from another."""
    row = await pool.fetchrow(
        "SELECT roles, groups, seen_at, ctid::text, xmin::text, xmax::text FROM identity.people"
        " WHERE tenant = $1 AND person = $2",
        who.tenant,
        who.person,
    )
    assert row is not None
    return tuple(row)


async def test_a_person_who_has_not_changed_costs_no_write(pool: ConnectionPool) -> None:
    """Neither a version of the row nor a lock of it."""
    people, ann = PeopleStore(pool), lawyer()
    await people.note(ann, NOW)
    kept = await row_of(pool, ann)
    await people.note(ann, NOW + timedelta(hours=1))
    assert await row_of(pool, ann) == kept
    await people.note(ann.changed({"groups": ("sales",)}), NOW + timedelta(hours=1))
    assert (await row_of(pool, ann))[1:3] == (["sales"], NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("scopes", "roles"),
    [((), {"reviewer"}), ((Right.READ, Right.DECIDE), {"reviewer"}), ((Right.READ,), set())],
)
async def test_a_key_gives_its_roles_where_it_may_decide(
    pool: ConnectionPool, scopes: tuple[Right, ...], roles: set[str]
) -> None:
    """A key that is narrowed to reading is no reviewer's."""
    ann, made = lawyer(), new_key()
    record = KeyRecord(
        id=uuid4(),
        tenant=ann.tenant,
        name="ann",
        subject=ann.subject,
        kind="person",
        roles=ann.roles,
        groups=ann.groups,
        scopes=scopes,
        owner=None,
        prefix=made.prefix,
        created_at=NOW,
        created_by="test",
    )
    await KeyStore(pool).add(record, made.sha256)
    (found,) = await PeopleStore(pool).memberships([(ann.tenant, ann.person)], NOW)
    assert found.roles == roles
    assert found.groups == {"legal"}
