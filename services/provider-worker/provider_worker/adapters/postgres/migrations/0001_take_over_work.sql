-- The schema `worker`: claims of calls, slots of rate-limited accounts, balances of budgets. Amounts are US dollars.
-- Versions before numbered migrations kept these tables in the schema `work`. They move here with their rows.

ALTER TABLE IF EXISTS work.claims SET SCHEMA worker;
ALTER TABLE IF EXISTS work.limits SET SCHEMA worker;
ALTER TABLE IF EXISTS work.tokens SET SCHEMA worker;
ALTER TABLE IF EXISTS work.places SET SCHEMA worker;
ALTER TABLE IF EXISTS work.budgets SET SCHEMA worker;
ALTER TABLE IF EXISTS work.holds SET SCHEMA worker;
ALTER TABLE IF EXISTS work.charges SET SCHEMA worker;
DROP FUNCTION IF EXISTS work.book(text, text, integer, bigint[], double precision, integer, bigint, integer, timestamptz);
DROP FUNCTION IF EXISTS work.free_places(text, text, integer, integer, integer, timestamptz);
DROP SCHEMA IF EXISTS work;

-- One row for each call that was begun: an order that is delivered again finds it and is skipped.
CREATE TABLE IF NOT EXISTS worker.claims (
    tenant      text        NOT NULL,
    work_id     text        NOT NULL,
    attempt     integer     NOT NULL,
    claimed_by  text        NOT NULL,
    claimed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, work_id, attempt)
);
CREATE INDEX IF NOT EXISTS claims_by_age ON worker.claims USING brin (claimed_at);

-- One row for each rate-limited account.
CREATE TABLE IF NOT EXISTS worker.limits (
    name          text        PRIMARY KEY,
    arrival       timestamptz NOT NULL DEFAULT '-infinity',
    closed_until  timestamptz NOT NULL DEFAULT '-infinity'
);

-- One row for each second in which an account's tokens were reserved.
CREATE TABLE IF NOT EXISTS worker.tokens (
    name    text    NOT NULL,
    second  bigint  NOT NULL,
    tokens  bigint  NOT NULL,
    PRIMARY KEY (name, second)
);

-- One row for each worker that holds an account's places.
CREATE TABLE IF NOT EXISTS worker.places (
    name        text        NOT NULL,
    holder      text        NOT NULL,
    places      integer     NOT NULL,
    waits       boolean     NOT NULL,
    asked_at    timestamptz NOT NULL,
    granted_at  timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (name, holder)
);

-- What each budget has spent.
CREATE TABLE IF NOT EXISTS worker.budgets (
    tenant   text        NOT NULL,
    scope    text        NOT NULL,
    name     text        NOT NULL,
    period   text        NOT NULL,
    spent    numeric     NOT NULL DEFAULT 0,
    used_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, scope, name, period)
);

-- What is held for a run's next call, one row a run.
CREATE TABLE IF NOT EXISTS worker.holds (
    tenant     text        NOT NULL,
    run_id     uuid        NOT NULL,
    user_id    text        NOT NULL,
    period     text        NOT NULL,
    amount     numeric     NOT NULL,
    lapses_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, run_id)
);

-- What each call was counted with, and on which budgets. A charge without budgets is of an older version: it stays as estimated.
CREATE TABLE IF NOT EXISTS worker.charges (
    tenant      text        NOT NULL,
    run_id      uuid        NOT NULL,
    work_id     text        NOT NULL,
    attempt     integer     NOT NULL,
    amount      numeric     NOT NULL,
    settled     boolean     NOT NULL DEFAULT false,
    charged_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, run_id, work_id, attempt)
);
ALTER TABLE worker.charges
    ADD COLUMN IF NOT EXISTS scopes  text[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS names   text[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS periods text[] NOT NULL DEFAULT '{}';

-- How many of the places that a worker asks for are free. Its numbers stand in `rate_limits.gcra` too.
CREATE FUNCTION worker.free_places(
    named text, asking text, held integer, wanted integer, most integer, at_time timestamptz
) RETURNS integer LANGUAGE plpgsql AS $free$
DECLARE
    mine worker.places;
    free bigint;
BEGIN
    DELETE FROM worker.places WHERE name = named AND asked_at < at_time - INTERVAL '1 hour';
    INSERT INTO worker.places AS kept (name, holder, places, waits, asked_at) VALUES (named, asking, held, wanted > 0, at_time)
    ON CONFLICT (name, holder) DO UPDATE
        SET places = EXCLUDED.places, waits = EXCLUDED.waits, asked_at = EXCLUDED.asked_at
    RETURNING * INTO mine;
    -- Others that wait just now and had less go first. A restart of PostgreSQL begins every lease anew.
    SELECT most - held - coalesce(sum(places), 0) - count(*) FILTER (
        WHERE waits AND asked_at > at_time - INTERVAL '1 second' AND (places, granted_at) < (mine.places, mine.granted_at))
    INTO free FROM worker.places
    WHERE name = named AND holder <> asking
    AND greatest(asked_at, pg_postmaster_start_time()) > at_time - INTERVAL '30 seconds';
    RETURN greatest(0, least(wanted, free));
END $free$;

-- The rule of `rate_limits.reservations` in one statement, so that no worker can stop in the middle of it.
CREATE FUNCTION worker.reserve(
    named text, asking text, held integer, wanted bigint[], gap double precision, burst integer, most_tokens bigint,
    most_places integer, turned timestamptz,
    OUT begins_in double precision[], OUT seconds bigint[], OUT again_in double precision
) LANGUAGE plpgsql AS $reserve$
DECLARE
    account worker.limits;
    at_time timestamptz;
    slot    timestamptz;
    sec     bigint;
    spent   bigint;
    lately  bigint;
    may     integer := cardinality(wanted);
BEGIN
    INSERT INTO worker.limits (name) VALUES (named) ON CONFLICT DO NOTHING;
    SELECT * INTO account FROM worker.limits WHERE name = named FOR UPDATE;
    at_time := coalesce(turned, clock_timestamp());  -- after the wait for the lock
    begins_in := '{}';
    seconds := '{}';
    again_in := 0.25;
    IF most_places IS NOT NULL THEN
        may := worker.free_places(named, asking, held, may, most_places, at_time);
    END IF;
    FOR n IN 1 .. may LOOP
        slot := greatest(at_time, account.closed_until);
        IF gap > 0 THEN
            slot := greatest(slot, account.arrival - make_interval(secs => (burst - 1) * gap));
        END IF;
        IF slot > at_time + INTERVAL '1 second' THEN
            again_in := greatest(0.25, extract(epoch FROM slot - at_time) - 1);
            EXIT;
        END IF;
        sec := floor(extract(epoch FROM slot));
        IF most_tokens IS NOT NULL THEN
            SELECT coalesce(sum(tokens), 0), coalesce(sum(tokens) FILTER (WHERE second > sec - 9), 0) INTO spent, lately
            FROM worker.tokens WHERE name = named AND second > sec - 63;
            EXIT WHEN spent + least(wanted[n], most_tokens) > most_tokens OR lately * 5 >= most_tokens;
            INSERT INTO worker.tokens AS kept (name, second, tokens) VALUES (named, sec, wanted[n])
            ON CONFLICT (name, second) DO UPDATE SET tokens = kept.tokens + EXCLUDED.tokens;
        END IF;
        account.arrival := greatest(account.arrival, slot) + make_interval(secs => gap);
        begins_in := begins_in || extract(epoch FROM slot - at_time)::double precision;
        seconds := seconds || sec;
    END LOOP;
    IF cardinality(begins_in) > 0 THEN
        UPDATE worker.limits SET arrival = account.arrival WHERE name = named;
        DELETE FROM worker.tokens WHERE name = named AND second < sec - 3600;
        UPDATE worker.places SET places = held + cardinality(begins_in), granted_at = at_time
        WHERE most_places IS NOT NULL AND name = named AND holder = asking;
    END IF;
END $reserve$;
