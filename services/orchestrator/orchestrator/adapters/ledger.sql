-- The ledger. Every service may create its own tables, at the same time as others: hence the lock.
SELECT pg_advisory_xact_lock(hashtext('countersign.ledger'));

CREATE SCHEMA IF NOT EXISTS ledger;

-- What happened: the bytes as published. `position` orders all runs for rebuilds; it may have gaps.
CREATE TABLE IF NOT EXISTS ledger.events (
    run_id   uuid    NOT NULL,
    version  integer NOT NULL,
    kind     text    NOT NULL,
    record   bytea   NOT NULL,
    position bigint  NOT NULL GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (run_id, version)
);

-- Rows only come at the end, so a block-range index finds positions at a thousandth of a tree's cost.
CREATE INDEX IF NOT EXISTS events_position ON ledger.events USING brin (position) WITH (pages_per_range = 16, autosummarize = on);

-- Refused commands leave no event; delivered again, they get the same answer from here.
CREATE TABLE IF NOT EXISTS ledger.refusals (
    command_id     uuid PRIMARY KEY,
    request_sha256 text,
    outcome        bytea NOT NULL,
    at             timestamptz NOT NULL DEFAULT now()
);

-- How far each partition of `run.commands` has been decided, by log.
CREATE TABLE IF NOT EXISTS ledger.intake (
    log_id    text    NOT NULL,
    partition integer NOT NULL,
    position  bigint  NOT NULL,
    PRIMARY KEY (log_id, partition)
);

-- The one time each run waits for, and the command that is sent then.
CREATE TABLE IF NOT EXISTS ledger.deadlines (
    run_id  uuid PRIMARY KEY,
    due_at  timestamptz NOT NULL,
    command bytea NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX IF NOT EXISTS deadlines_due ON ledger.deadlines (due_at);
