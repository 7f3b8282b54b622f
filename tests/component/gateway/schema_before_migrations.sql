-- The read model as it was made before there were migrations. A database with it is taken over: see test_tables.py.
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
