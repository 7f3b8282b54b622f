"""Every SQL statement of the worker."""

LOCK = "select pg_advisory_xact_lock(7146250031955)"
"""Let one process at a time make the schema: `if not exists` alone fails when two do it at once."""

SCHEMA = """
create schema if not exists work;

create table if not exists work.claims (
    tenant      text        not null,
    work_id     text        not null,
    attempt     integer     not null,
    claimed_by  text        not null,
    claimed_at  timestamptz not null default now(),
    primary key (tenant, work_id, attempt)
);

create index if not exists claims_by_age on work.claims using brin (claimed_at);
"""
"""One row for each call that was begun, for good: an order that is delivered again finds it and is skipped."""

CLAIM = """
insert into work.claims (tenant, work_id, attempt, claimed_by)
select tenant, work_id, attempt, $4 from unnest($1::text[], $2::text[], $3::integer[]) as wanted (tenant, work_id, attempt)
on conflict (tenant, work_id, attempt) do update set claimed_by = excluded.claimed_by
    where claims.claimed_by = excluded.claimed_by
returning tenant, work_id, attempt
"""
"""Claim calls, all at once. A claim of the same token is confirmed, so that an answer lost on the wire can be asked for again."""

FORGET = "delete from work.claims where claimed_at < now() - interval '7 days'"
"""Drop claims older than any order that could still be delivered: `provider.work` keeps orders that long, deadlines are shorter."""

ALIVE = "select 1"
"""Whether the database answers."""
