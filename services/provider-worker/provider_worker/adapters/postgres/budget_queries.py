"""Every SQL statement about budgets. Amounts are US dollars."""

SCHEMA = """
create table if not exists work.budgets (
    tenant  text        not null,
    scope   text        not null,
    name    text        not null,
    period  text        not null,
    spent   numeric     not null default 0,
    used_at timestamptz not null default now(),
    primary key (tenant, scope, name, period)
);

create table if not exists work.holds (
    tenant     text        not null,
    run_id     uuid        not null,
    user_id    text        not null,
    period     text        not null,
    amount     numeric     not null,
    lapses_at  timestamptz not null,
    primary key (tenant, run_id)
);

create table if not exists work.charges (
    tenant     text        not null,
    run_id     uuid        not null,
    work_id    text        not null,
    attempt    integer     not null,
    amount     numeric     not null,
    settled    boolean     not null default false,
    charged_at timestamptz not null default now(),
    primary key (tenant, run_id, work_id, attempt)
);

alter table work.charges
    add column if not exists scopes  text[] not null default '{}',
    add column if not exists names   text[] not null default '{}',
    add column if not exists periods text[] not null default '{}';
"""
"""What each budget has spent, what is held for calls to come (one a run), and what each call was counted with, on which budgets.

A charge of a version that did not say on which budgets it was counted stays counted as estimated.
"""

LOCK = """
insert into work.budgets as b (tenant, scope, name, period)
select $1, scope, name, period from unnest($2::text[], $3::text[], $4::text[]) as wanted (scope, name, period)
on conflict (tenant, scope, name, period) do update set used_at = now()
returning scope, spent
"""
"""Make the rows of budgets where they are missing and lock them, in the order given, which is the same for everybody: tenant, user, run."""

HELD = """
select coalesce(sum(amount), 0) as by_tenant, coalesce(sum(amount) filter (where user_id = $3), 0) as by_user
from work.holds where tenant = $1 and run_id <> $2 and lapses_at > now() and period = any($4)
"""
"""What other runs hold of a tenant's and of a user's budget."""

HOLD = """
insert into work.holds (tenant, run_id, user_id, period, amount, lapses_at)
values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
on conflict (tenant, run_id) do update
    set user_id = excluded.user_id, period = excluded.period, amount = excluded.amount, lapses_at = excluded.lapses_at
"""
"""Hold an amount for a run, in place of what it held before."""

LET_GO = "delete from work.holds where tenant = $1 and run_id = $2"
"""Hold nothing for a run."""

IS_CHARGED = "select true from work.charges where tenant = $1 and run_id = $2 and work_id = $3 and attempt = $4"
"""Whether a call was charged before."""

CHARGE = """
insert into work.charges (tenant, run_id, work_id, attempt, amount, scopes, names, periods)
values ($1, $2, $3, $4, $5, $6::text[], $7::text[], $8::text[])
"""
"""Charge a call, on budgets that are named for when it is settled."""

SETTLE = """
with last as (
    select work_id, attempt, amount from work.charges
    where tenant = $1 and run_id = $2 and ($3::text is null or (work_id, attempt) = ($3, $4::integer))
    order by charged_at desc, attempt desc limit 1
), corrected as (
    update work.charges as c set amount = $5, settled = true from last
    where c.tenant = $1 and c.run_id = $2 and (c.work_id, c.attempt) = (last.work_id, last.attempt) and not c.settled
    returning $5 - last.amount as more, c.scopes, c.names, c.periods
)
select more, scopes, names, periods from corrected
"""
"""Correct what a call was charged, or the run's last one; say by how much and on which budgets, or nothing where it is settled."""

ADD = """
update work.budgets as b set spent = b.spent + $5
from unnest($2::text[], $3::text[], $4::text[]) as wanted (scope, name, period)
where b.tenant = $1 and (b.scope, b.name, b.period) = (wanted.scope, wanted.name, wanted.period)
"""
"""Count an amount on budgets that are locked."""

FORGET = (
    "delete from work.holds where lapses_at < now()",
    "delete from work.charges where charged_at < now() - interval '40 days'",
    "delete from work.budgets where used_at < now() - interval '800 days'",
)
"""Drop holds that have lapsed, charges older than any call that could still be settled, and budgets of periods long past."""
