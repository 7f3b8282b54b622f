"""The SQL of shared limits: the rule of `limits.booking`, in one statement, so that no worker can stop in the middle of it."""

SCHEMA = """
create table if not exists work.limits (
    name          text        primary key,
    arrival       timestamptz not null default '-infinity',
    closed_until  timestamptz not null default '-infinity'
);

create table if not exists work.tokens (
    name    text    not null,
    second  bigint  not null,
    tokens  bigint  not null,
    primary key (name, second)
);

create table if not exists work.places (
    name        text        not null,
    holder      text        not null,
    places      integer     not null,
    waits       boolean     not null,
    asked_at    timestamptz not null,
    granted_at  timestamptz not null default '-infinity',
    primary key (name, holder)
);

create or replace function work.free_places(
    named text, asking text, held integer, wanted integer, most integer, at_time timestamptz
) returns integer language plpgsql as $free$
declare
    mine work.places;
    free bigint;
begin
    delete from work.places where name = named and asked_at < at_time - interval '1 hour';
    insert into work.places as kept (name, holder, places, waits, asked_at) values (named, asking, held, wanted > 0, at_time)
    on conflict (name, holder) do update set places = excluded.places, waits = excluded.waits, asked_at = excluded.asked_at
    returning * into mine;
    -- Others that wait just now and have had less go first. A restart froze everybody's word: it holds on from there.
    select most - held - coalesce(sum(places), 0) - count(*) filter (
        where waits and asked_at > at_time - interval '1 second' and (places, granted_at) < (mine.places, mine.granted_at))
    into free from work.places
    where name = named and holder <> asking
    and greatest(asked_at, pg_postmaster_start_time()) > at_time - interval '30 seconds';
    return greatest(0, least(wanted, free));
end $free$;

create or replace function work.book(
    named text, asking text, held integer, wanted bigint[], gap double precision, burst integer, most_tokens bigint,
    most_places integer, turned timestamptz,
    out begins_in double precision[], out seconds bigint[], out again_in double precision
) language plpgsql as $book$
declare
    account work.limits;
    at_time timestamptz;
    slot    timestamptz;
    sec     bigint;
    spent   bigint;
    lately  bigint;
    may     integer := cardinality(wanted);
begin
    insert into work.limits (name) values (named) on conflict do nothing;
    select * into account from work.limits where name = named for update;
    at_time := coalesce(turned, clock_timestamp());  -- the lock may have been waited for
    begins_in := '{}';
    seconds := '{}';
    again_in := 0.25;
    if most_places is not null then
        may := work.free_places(named, asking, held, may, most_places, at_time);
    end if;
    for n in 1 .. may loop
        slot := greatest(at_time, account.closed_until);
        if gap > 0 then
            slot := greatest(slot, account.arrival - make_interval(secs => (burst - 1) * gap));
        end if;
        if slot > at_time + interval '1 second' then
            again_in := greatest(0.25, extract(epoch from slot - at_time) - 1);
            exit;
        end if;
        sec := floor(extract(epoch from slot));
        if most_tokens is not null then
            select coalesce(sum(tokens), 0), coalesce(sum(tokens) filter (where second > sec - 9), 0) into spent, lately
            from work.tokens where name = named and second > sec - 63;
            exit when spent + least(wanted[n], most_tokens) > most_tokens or lately * 5 >= most_tokens;
            insert into work.tokens as kept (name, second, tokens) values (named, sec, wanted[n])
            on conflict (name, second) do update set tokens = kept.tokens + excluded.tokens;
        end if;
        account.arrival := greatest(account.arrival, slot) + make_interval(secs => gap);
        begins_in := begins_in || extract(epoch from slot - at_time)::double precision;
        seconds := seconds || sec;
    end loop;
    if cardinality(begins_in) > 0 then
        update work.limits set arrival = account.arrival where name = named;
        delete from work.tokens where name = named and second < sec - 3600;
        update work.places set places = held + cardinality(begins_in), granted_at = at_time
        where most_places is not null and name = named and holder = asking;
    end if;
end $book$;
"""
"""One row an account; one a second in which tokens were booked; one a worker that holds places. Numbers in it stand in `limits.pacing` too."""

BOOK = "select begins_in, seconds, again_in from work.book($1, $2, $3, $4, $5, $6, $7, $8, $9)"
"""Book slots. The row of the account is locked for this statement alone, on the server: a worker that hangs holds up nobody."""

SETTLE = "update work.tokens set tokens = greatest(0, tokens + $3) where name = $1 and second = $2"
"""Count what was used in place of what was estimated. A second that was deleted is out of every window."""

CLOSE = """
insert into work.limits (name, closed_until) values ($1, clock_timestamp() + make_interval(secs => $2))
on conflict (name) do update set closed_until = greatest(limits.closed_until, excluded.closed_until)
"""
"""Book nothing for a while."""
