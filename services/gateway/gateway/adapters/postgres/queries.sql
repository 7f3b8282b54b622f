-- The read model, schema `views`: where runs stand, to be found by it. What happened to them is the record's to tell
-- (`ledger.decisions`), and is not kept twice; each table can be made again from it. What people write stands in the record
-- alone: a JSON string may hold \u0000, and no column of `text` takes it.

-- name: schema-is-made
-- Name what was added to the schemas last. Making them takes locks that a rebuild would hold up.
select count(*) = 2 from pg_views where (schemaname, viewname) in (('ledger', 'events'), ('views', 'hitl_step_events'))

-- name: lock-schema
-- Let one process at a time make the schema: `if not exists` alone fails when two do it at once.
select pg_advisory_xact_lock(7146250031955)

-- name: schema
-- Make what is missing.
create schema if not exists views;

create table if not exists views.hitl_runs (
    run_id      uuid        primary key,
    tenant      text        not null,
    version     bigint      not null,
    folded_on   bigint      not null,
    state       text        not null,
    session_id  text,
    user_id     text,
    created_at  timestamptz not null,
    updated_at  timestamptz not null
) with (fillfactor = 70);

-- Version 0.1 kept views here as well, and an index by state. A run changes its state often and ends once: with no index on
-- what changes often, such a change is written in its page alone.
alter table views.hitl_runs drop column if exists view;
alter table views.hitl_runs add column if not exists ended text
    generated always as (case when state in ('completed', 'failed', 'cancelled') then state end) stored;
drop index if exists views.hitl_runs_in_state;

create index if not exists hitl_runs_newest on views.hitl_runs (tenant, created_at desc, run_id desc);
create index if not exists hitl_runs_open on views.hitl_runs (tenant, created_at desc, run_id desc) where ended is null;
create index if not exists hitl_runs_ended
    on views.hitl_runs (tenant, ended, created_at desc, run_id desc) where ended is not null;
create index if not exists hitl_runs_of_session
    on views.hitl_runs (tenant, session_id, created_at desc, run_id desc) where session_id is not null;
create index if not exists hitl_runs_of_user
    on views.hitl_runs (tenant, user_id, created_at desc, run_id desc) where user_id is not null;

create table if not exists views.hitl_pending_approvals (
    checkpoint_id uuid        primary key,
    run_id        uuid        not null,
    tenant        text        not null,
    step          text        not null,
    assignee      text,
    session_id    text,
    user_id       text,
    opened_at     timestamptz not null,
    expires_at    timestamptz not null
);
drop index if exists views.hitl_pending_approvals_of_run;
create index if not exists hitl_pending_approvals_oldest
    on views.hitl_pending_approvals (tenant, opened_at, checkpoint_id);

create table if not exists views.hitl_approvals (
    run_id         uuid        not null,
    version        bigint      not null,
    checkpoint_id  uuid        not null,
    tenant         text        not null,
    step           text        not null,
    action         text        not null,
    actor          text        not null,
    at             timestamptz not null,
    subject_sha256 text        not null,
    primary key (run_id, version)
);

-- Version 0.1 kept what was said here as well, and events in a table of their own.
drop index if exists views.hitl_approvals_of_checkpoint;
alter table views.hitl_approvals drop column if exists approval;
do $$ begin
if exists (select from pg_tables where schemaname = 'views' and tablename = 'hitl_step_events') then
    drop table views.hitl_step_events;
end if;
end $$;

-- The record as people read it. The time is found in the text, where it stands before all facts: `->>` refuses an object that
-- holds \u0000 anywhere.
create or replace view views.hitl_step_events as
select run_id, version, kind, substring(told from '"at":"([^"]+)"')::timestamptz as at, told::json as record
from (select run_id, version, kind, convert_from(record, 'UTF8') as told from ledger.events) as events;

-- name: load
-- The whole history of some runs, with the version that their rows have, 0 for none.
select k.run_id, coalesce(r.version, 0) as reached, d.events
from unnest($1::uuid[]) as k (run_id)
left join views.hitl_runs r using (run_id)
left join ledger.decisions d using (run_id)
order by k.run_id, d.version

-- name: write
-- A batch in one statement and one round trip. A row is taken only where the table holds the one it was folded on; what
-- waits changes with it. Decisions are facts, whoever writes them. Rows are locked in the order they are given.
with moved as (
    insert into views.hitl_runs as stored
        (run_id, tenant, version, folded_on, state, session_id, user_id, created_at, updated_at)
    select *
    from unnest(
        $1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
        $9::timestamptz[]
    )
    on conflict (run_id) do update
    set version = excluded.version, folded_on = excluded.folded_on, state = excluded.state,
        updated_at = excluded.updated_at
    where stored.version = excluded.folded_on
    returning run_id
), decided as (
    insert into views.hitl_approvals
        (run_id, version, checkpoint_id, tenant, step, action, actor, at, subject_sha256)
    select *
    from unnest(
        $10::uuid[], $11::bigint[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::text[], $17::timestamptz[],
        $18::text[]
    )
    on conflict do nothing
), closed as (
    delete from views.hitl_pending_approvals
    where checkpoint_id = any($19::uuid[]) and run_id in (select run_id from moved)
), opened as (
    insert into views.hitl_pending_approvals as stored
        (checkpoint_id, run_id, tenant, step, session_id, user_id, opened_at, expires_at)
    select opening.*
    from unnest(
        $20::uuid[], $21::uuid[], $22::text[], $23::text[], $24::text[], $25::text[], $26::timestamptz[],
        $27::timestamptz[]
    ) as opening (checkpoint_id, run_id, tenant, step, session_id, user_id, opened_at, expires_at)
    where opening.run_id in (select run_id from moved)
    on conflict (checkpoint_id) do update set expires_at = excluded.expires_at
    where stored.run_id = excluded.run_id
)
select run_id from moved

-- name: lock-runs
-- Hold up all writers, and no reader, while the tables are made again.
lock table views.hitl_runs in exclusive mode

-- name: clear
-- Forget what was folded. The record stays: it is what all is folded from.
delete from views.hitl_pending_approvals;
delete from views.hitl_approvals;
delete from views.hitl_runs;

-- name: all-decisions
-- The whole record, run by run, in order.
select events from ledger.decisions order by run_id, version

-- name: history
-- Decisions on a run in order, from the one that goes beyond a version, up to the version that its row has reached: what is
-- listed and what is read agree. Each has an event to tell, so that many decisions are enough for as many events.
select r.version as reached, d.version, d.events
from views.hitl_runs r
join ledger.decisions d using (run_id)
where r.tenant = $1 and r.run_id = $2 and r.version > $3 and d.version <= r.version and d.version >= coalesce(
    (select max(version) from ledger.decisions where run_id = $2 and version <= least($3::bigint, 2147483646) + 1), 1)
order by d.version
limit $4

-- name: histories
-- The decisions on some runs, each that begins up to a version, in order.
select d.run_id, d.events, k.reached - d.version + 1 as count
from unnest($1::uuid[], $2::bigint[]) as k (run_id, reached)
join ledger.decisions d on d.run_id = k.run_id and d.version <= k.reached
order by d.run_id, d.version

-- name: runs
-- A page of runs, newest first. Only the conditions that a request has are put in, so that each form finds its index.
select run_id as id, created_at as at, run_id, version
from views.hitl_runs
where tenant = $1 and (created_at, run_id) < ($2, $3) {conditions}
order by created_at desc, run_id desc
limit $4

-- name: pending
-- A page of what waits for a person, oldest first. Conditions as for runs.
select p.checkpoint_id as id, p.opened_at as at, r.run_id, r.version
from views.hitl_pending_approvals p
join views.hitl_runs r using (run_id)
where p.tenant = $1 and (p.opened_at, p.checkpoint_id) > ($2, $3) {conditions}
order by p.opened_at, p.checkpoint_id
limit $4
