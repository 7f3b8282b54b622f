-- The read model, schema `views`: what `run.events` told, folded into tables. Each table can be made again from the events.
-- Payloads are `json` and not `jsonb`: a JSON string may hold \u0000, which jsonb refuses, and json keeps the bytes. For the
-- same reason what people write stands in payloads alone: no column of `text` takes it.

-- name: schema-is-made
-- Name what was added to the schema last. Making it takes locks that a rebuild would hold up.
select to_regclass('views.hitl_approvals_of_checkpoint') is not null

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
    updated_at  timestamptz not null,
    view        json        not null
);
create index if not exists hitl_runs_newest on views.hitl_runs (tenant, created_at desc, run_id desc);
create index if not exists hitl_runs_in_state on views.hitl_runs (tenant, state, created_at desc, run_id desc);
create index if not exists hitl_runs_of_session
    on views.hitl_runs (tenant, session_id, created_at desc, run_id desc) where session_id is not null;
create index if not exists hitl_runs_of_user
    on views.hitl_runs (tenant, user_id, created_at desc, run_id desc) where user_id is not null;

create table if not exists views.hitl_step_events (
    run_id      uuid        not null,
    version     bigint      not null,
    kind        text        not null,
    at          timestamptz not null,
    record      json        not null,
    primary key (run_id, version)
);

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
create index if not exists hitl_pending_approvals_of_run on views.hitl_pending_approvals (run_id);
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
    approval       json        not null,
    primary key (run_id, version)
);
create index if not exists hitl_approvals_of_checkpoint on views.hitl_approvals (checkpoint_id);

-- name: load
-- What is known of some runs: the view, and the events that came before their turn.
select k.run_id, r.view, e.records
from unnest($1::uuid[]) as k (run_id)
left join views.hitl_runs r using (run_id)
left join lateral (
    select array_agg(s.record::text order by s.version) as records
    from views.hitl_step_events s
    where s.run_id = k.run_id and s.version > coalesce(r.version, 0)
) e on true

-- name: write
-- A batch in one statement and one round trip. A view is taken only where the table holds the one it was folded on; what
-- waits changes with it. Events and decisions are facts, whoever writes them. Rows are locked in the order they are given.
with moved as (
    insert into views.hitl_runs as stored
        (run_id, tenant, version, folded_on, state, session_id, user_id, created_at, updated_at, view)
    select *
    from unnest(
        $1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
        $9::timestamptz[], $10::json[]
    )
    on conflict (run_id) do update
    set version = excluded.version, folded_on = excluded.folded_on, state = excluded.state,
        updated_at = excluded.updated_at, view = excluded.view
    where stored.version = excluded.folded_on
    returning run_id
), kept as (
    insert into views.hitl_step_events (run_id, version, kind, at, record)
    select * from unnest($11::uuid[], $12::bigint[], $13::text[], $14::timestamptz[], $15::json[])
    on conflict do nothing
), decided as (
    insert into views.hitl_approvals
        (run_id, version, checkpoint_id, tenant, step, action, actor, at, subject_sha256, approval)
    select *
    from unnest(
        $16::uuid[], $17::bigint[], $18::uuid[], $19::text[], $20::text[], $21::text[], $22::text[], $23::timestamptz[],
        $24::text[], $25::json[]
    )
    on conflict do nothing
), closed as (
    delete from views.hitl_pending_approvals
    where checkpoint_id = any($26::uuid[]) and run_id in (select run_id from moved)
), opened as (
    insert into views.hitl_pending_approvals as stored
        (checkpoint_id, run_id, tenant, step, assignee, session_id, user_id, opened_at, expires_at)
    select opening.*
    from unnest(
        $27::uuid[], $28::uuid[], $29::text[], $30::text[], $31::text[], $32::text[], $33::text[], $34::timestamptz[],
        $35::timestamptz[]
    ) as opening (checkpoint_id, run_id, tenant, step, assignee, session_id, user_id, opened_at, expires_at)
    where opening.run_id in (select run_id from moved)
    on conflict (checkpoint_id) do update set expires_at = excluded.expires_at, assignee = excluded.assignee
    where stored.run_id = excluded.run_id
)
select run_id from moved

-- name: keep
-- Keep events as they came, and fold nothing; one that is there already is the same.
insert into views.hitl_step_events (run_id, version, kind, at, record)
select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::json[])
on conflict do nothing

-- name: lock-runs
-- Hold up all writers, and no reader, while the tables are made again.
lock table views.hitl_runs in exclusive mode

-- name: clear
-- Forget what was folded. The events stay: they are what it is folded from.
delete from views.hitl_pending_approvals;
delete from views.hitl_approvals;
delete from views.hitl_runs;

-- name: all-events
-- Every event that is held, run by run, in order.
select record::text as record from views.hitl_step_events order by run_id, version

-- name: run
-- One run as it is shown.
select version, state, view from views.hitl_runs where tenant = $1 and run_id = $2

-- name: runs
-- A page of runs, newest first. Only the conditions that a request has are put in, so that each form finds its index.
select run_id as id, created_at as at, view
from views.hitl_runs
where tenant = $1 and (created_at, run_id) < ($2, $3) {conditions}
order by created_at desc, run_id desc
limit $4

-- name: history
-- Events of a run in order, up to the version that its view has reached: beyond it one may be missing.
select e.version, e.record
from views.hitl_step_events e
join views.hitl_runs r using (run_id)
where r.tenant = $1 and e.run_id = $2 and e.version > $3 and e.version <= r.version
order by e.version
limit $4

-- name: pending
-- A page of what waits for a person, oldest first. Conditions as for runs.
select p.checkpoint_id as id, p.opened_at as at, r.view
from views.hitl_pending_approvals p
join views.hitl_runs r using (run_id)
where p.tenant = $1 and (p.opened_at, p.checkpoint_id) > ($2, $3) {conditions}
order by p.opened_at, p.checkpoint_id
limit $4
