-- The read model of version 0.2, made anew or taken over from version 0.1: rows of runs, of open checkpoints and of decisions.
-- The history of a run is not kept twice: it is in the ledger, from which each table can be made again. Text by people is in the
-- ledger alone: a JSON string may hold \u0000, and no column of type text takes it.

CREATE TABLE IF NOT EXISTS views.hitl_runs (
    run_id      uuid        PRIMARY KEY,
    tenant      text        NOT NULL,
    version     bigint      NOT NULL,
    folded_on   bigint      NOT NULL,
    state       text        NOT NULL,
    session_id  text,
    user_id     text,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
) WITH (fillfactor = 70);

-- Version 0.1 kept the view here, and an index by state. A run changes its state often and ends once. Without an index on a column
-- that changes often, an update stays within its page.
ALTER TABLE views.hitl_runs DROP COLUMN IF EXISTS view;
ALTER TABLE views.hitl_runs ADD COLUMN IF NOT EXISTS ended text
    GENERATED ALWAYS AS (CASE WHEN state IN ('completed', 'failed', 'cancelled') THEN state END) STORED;
DROP INDEX IF EXISTS views.hitl_runs_in_state;

CREATE INDEX IF NOT EXISTS hitl_runs_newest ON views.hitl_runs (tenant, created_at DESC, run_id DESC);
CREATE INDEX IF NOT EXISTS hitl_runs_open ON views.hitl_runs (tenant, created_at DESC, run_id DESC) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS hitl_runs_ended
    ON views.hitl_runs (tenant, ended, created_at DESC, run_id DESC) WHERE ended IS NOT NULL;
CREATE INDEX IF NOT EXISTS hitl_runs_of_session
    ON views.hitl_runs (tenant, session_id, created_at DESC, run_id DESC) WHERE session_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS hitl_runs_of_user
    ON views.hitl_runs (tenant, user_id, created_at DESC, run_id DESC) WHERE user_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS views.hitl_pending_approvals (
    checkpoint_id uuid        PRIMARY KEY,
    run_id        uuid        NOT NULL,
    tenant        text        NOT NULL,
    step          text        NOT NULL,
    assignee      text,
    session_id    text,
    user_id       text,
    opened_at     timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL
);
DROP INDEX IF EXISTS views.hitl_pending_approvals_of_run;
CREATE INDEX IF NOT EXISTS hitl_pending_approvals_oldest
    ON views.hitl_pending_approvals (tenant, opened_at, checkpoint_id);

CREATE TABLE IF NOT EXISTS views.hitl_approvals (
    run_id         uuid        NOT NULL,
    version        bigint      NOT NULL,
    checkpoint_id  uuid        NOT NULL,
    tenant         text        NOT NULL,
    step           text        NOT NULL,
    action         text        NOT NULL,
    actor          text        NOT NULL,
    at             timestamptz NOT NULL,
    subject_sha256 text        NOT NULL,
    PRIMARY KEY (run_id, version)
);

-- Version 0.1 kept the text of decisions here, and events in a table of their own.
DROP INDEX IF EXISTS views.hitl_approvals_of_checkpoint;
ALTER TABLE views.hitl_approvals DROP COLUMN IF EXISTS approval;
DO $$ BEGIN
IF EXISTS (SELECT FROM pg_tables WHERE schemaname = 'views' AND tablename = 'hitl_step_events') THEN
    DROP TABLE views.hitl_step_events;
END IF;
END $$;

-- The ledger's events for people to read. The time is taken from the text, in which it comes before all facts: the operator ->>
-- refuses an object that holds \u0000 anywhere.
CREATE OR REPLACE VIEW views.hitl_step_events AS
SELECT run_id, version, kind, substring(text FROM '"at":"([^"]+)"')::timestamptz AS at, text::json AS record
FROM (SELECT run_id, version, kind, convert_from(record, 'UTF8') AS text FROM ledger.events) AS events;
