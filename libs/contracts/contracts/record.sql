-- The record: what happened to every run. The orchestrator writes it; the gateway and whoever may read the database read it.
-- Any service may make it, at the same time as others: hence the lock.
SELECT pg_advisory_xact_lock(hashtext('countersign.ledger'));

CREATE SCHEMA IF NOT EXISTS ledger;

-- The bytes as published. `position` orders all runs for rebuilds; it may have gaps.
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
