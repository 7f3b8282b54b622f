-- The record: what happened to every run. The orchestrator writes it; the gateway and whoever may read the database read it.
-- Any service may make it, at the same time as others: hence the lock.
SELECT pg_advisory_xact_lock(hashtext('sayso.ledger'));

CREATE SCHEMA IF NOT EXISTS ledger;

-- There was a row for each event before, which is a decision of one. The read model makes its view of that table again, if it had
-- one; somebody else's is not ours to drop, and the error names it.
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
-- The key fences an owner that slept: whoever decides knows whole decisions of a run, and so begins where the next one begins.
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

-- The same, a row for each event. Made once: to replace it would wait for whoever reads it.
DO $$ BEGIN
IF NOT EXISTS (SELECT FROM pg_views WHERE schemaname = 'ledger' AND viewname = 'events') THEN
    CREATE VIEW ledger.events AS
    SELECT run_id, (version + place - 1)::integer AS version, substring(told from '^{"kind":"([^"]+)"') AS kind,
        convert_to(told, 'UTF8') AS record, position
    FROM ledger.decisions, string_to_table(convert_from(events, 'UTF8'), E'\n') WITH ORDINALITY AS line (told, place);
END IF;
END $$;
