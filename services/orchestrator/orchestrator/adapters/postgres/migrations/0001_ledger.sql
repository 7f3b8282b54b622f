-- The ledger as it was before migrations had numbers. All of it also takes over what is there already: tables of that time, and of
-- version 0.1 before it.

-- There was a row for each event before, which is a decision of one. The read model makes its view of that table again, if it had
-- one; a view of another owner is not ours to drop, and the error names it.
DO $$ BEGIN
IF EXISTS (SELECT FROM pg_tables WHERE schemaname = 'ledger' AND tablename = 'events') THEN
    IF EXISTS (SELECT FROM pg_views WHERE schemaname = 'views' AND viewname = 'hitl_step_events') THEN
        DROP VIEW views.hitl_step_events;
    END IF;
    ALTER TABLE ledger.events RENAME TO decisions;
    ALTER TABLE ledger.decisions RENAME record TO events;
    ALTER TABLE ledger.decisions DROP kind;
    ALTER INDEX IF EXISTS ledger.events_pkey RENAME TO decisions_pkey;
    ALTER INDEX IF EXISTS ledger.events_position RENAME TO decisions_position;
END IF;
END $$;

-- What each command did to a run: its events as the bytes that are published, one a line, from `version` on. A row for each
-- event would cost half as much again: a decision says much twice, and PostgreSQL compresses what is large.
-- The key fences an owner that slept: each owner knows whole decisions of a run, and so begins where the next one begins.
-- `position` orders all runs for rebuilds; it may have gaps.
CREATE TABLE IF NOT EXISTS ledger.decisions (
    run_id   uuid    NOT NULL,
    version  integer NOT NULL,
    events   bytea   NOT NULL,
    position bigint  NOT NULL GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (run_id, version)
);

-- Rows only come at the end, so a block-range index finds positions at a thousandth of a tree's cost.
CREATE INDEX IF NOT EXISTS decisions_position ON ledger.decisions
    USING brin (position) WITH (pages_per_range = 16, autosummarize = on);

-- The same, a row for each event. Made once: to replace it would wait for its readers.
DO $$ BEGIN
IF NOT EXISTS (SELECT FROM pg_views WHERE schemaname = 'ledger' AND viewname = 'events') THEN
    CREATE VIEW ledger.events AS
    SELECT run_id, (version + place - 1)::integer AS version, substring(told from '^{"kind":"([^"]+)"') AS kind,
        convert_to(told, 'UTF8') AS record, position
    FROM ledger.decisions, string_to_table(convert_from(events, 'UTF8'), E'\n') WITH ORDINALITY AS line (told, place);
END IF;
END $$;

-- Refused commands leave no event; delivered again, they get the same answer from here.
CREATE TABLE IF NOT EXISTS ledger.refusals (
    command_id     uuid PRIMARY KEY,
    request_sha256 text,
    outcome        bytea NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    run_id         uuid NOT NULL
);

-- Version 0.1 did not say whose they are.
DO $$ BEGIN
IF NOT EXISTS (SELECT FROM information_schema.columns
               WHERE table_schema = 'ledger' AND table_name = 'refusals' AND column_name = 'run_id') THEN
    ALTER TABLE ledger.refusals ADD run_id uuid;
    UPDATE ledger.refusals SET run_id = (convert_from(outcome, 'UTF8')::json ->> 'run_id')::uuid;
    ALTER TABLE ledger.refusals ALTER run_id SET NOT NULL;
END IF;
END $$;

-- A run is loaded with what it refused.
CREATE INDEX IF NOT EXISTS refusals_of_run ON ledger.refusals (run_id);

-- By their age they are forgotten. A tree: blocks are filled again with newer rows, and a block range would span them all.
CREATE INDEX IF NOT EXISTS refusals_at ON ledger.refusals (at);

-- How far each partition of `run.commands` has been decided, by log.
CREATE TABLE IF NOT EXISTS ledger.intake (
    log_id    text    NOT NULL,
    partition integer NOT NULL,
    position  bigint  NOT NULL,
    PRIMARY KEY (log_id, partition)
);

-- The one time each run waits for, and what falls due then: a piece of work and its attempt, or a checkpoint and its escalations.
-- `at` is that time; `due_at` moves on when it was said, and it is said again then unless the run has moved on too.
CREATE TABLE IF NOT EXISTS ledger.deadlines (
    run_id uuid PRIMARY KEY,
    due_at timestamptz NOT NULL,
    at     timestamptz NOT NULL,
    tenant text        NOT NULL,
    kind   text        NOT NULL,
    about  text        NOT NULL,
    count  integer     NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX IF NOT EXISTS deadlines_due ON ledger.deadlines (due_at);

-- Version 0.1 kept the whole command.
DO $$ BEGIN
IF EXISTS (SELECT FROM information_schema.columns
           WHERE table_schema = 'ledger' AND table_name = 'deadlines' AND column_name = 'command') THEN
    ALTER TABLE ledger.deadlines
        ADD at timestamptz, ADD tenant text, ADD kind text, ADD about text, ADD count integer;
    UPDATE ledger.deadlines SET at = (said ->> 'at')::timestamptz, tenant = said ->> 'tenant', kind = said ->> 'kind',
        about = coalesce(said ->> 'work_id', said ->> 'checkpoint_id'),
        count = coalesce(said ->> 'attempt', said ->> 'escalations')::integer
    FROM (SELECT run_id AS of, convert_from(command, 'UTF8')::json AS said FROM ledger.deadlines) AS commands WHERE run_id = of;
    ALTER TABLE ledger.deadlines DROP command, ALTER at SET NOT NULL, ALTER tenant SET NOT NULL, ALTER kind SET NOT NULL,
        ALTER about SET NOT NULL, ALTER count SET NOT NULL;
END IF;
END $$;
