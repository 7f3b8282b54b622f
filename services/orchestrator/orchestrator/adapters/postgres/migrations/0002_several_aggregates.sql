-- The ledger holds several kinds of aggregate: a row says whose it is, also in its key, for a stranger may name any id as that of
-- any kind. A position belongs to a topic of a log.

-- All events of one command are a commit. "Decision" is a person's word.
ALTER TABLE ledger.decisions RENAME TO commits;
ALTER TABLE ledger.commits RENAME run_id TO stream_id;
ALTER TABLE ledger.commits ADD aggregate text NOT NULL DEFAULT 'run';
ALTER TABLE ledger.commits ALTER aggregate DROP DEFAULT;
ALTER TABLE ledger.commits DROP CONSTRAINT decisions_pkey;
ALTER TABLE ledger.commits ADD PRIMARY KEY (stream_id, version, aggregate);
ALTER INDEX ledger.decisions_position RENAME TO commits_position;

-- The events of runs, a row each, as before.
CREATE OR REPLACE VIEW ledger.events AS
SELECT stream_id AS run_id, (version + place - 1)::integer AS version, substring(told FROM '^{"kind":"([^"]+)"') AS kind,
    convert_to(told, 'UTF8') AS record, position
FROM ledger.commits, string_to_table(convert_from(events, 'UTF8'), E'\n') WITH ORDINALITY AS line (told, place)
WHERE aggregate = 'run';

ALTER TABLE ledger.refusals RENAME run_id TO stream_id;
ALTER TABLE ledger.refusals ADD aggregate text NOT NULL DEFAULT 'run';
ALTER TABLE ledger.refusals ALTER aggregate DROP DEFAULT;
ALTER TABLE ledger.refusals DROP CONSTRAINT refusals_pkey;
ALTER TABLE ledger.refusals ADD PRIMARY KEY (command_id, aggregate);
ALTER INDEX ledger.refusals_of_run RENAME TO refusals_of_stream;

ALTER TABLE ledger.deadlines RENAME run_id TO stream_id;
ALTER TABLE ledger.deadlines ADD aggregate text NOT NULL DEFAULT 'run';
ALTER TABLE ledger.deadlines ALTER aggregate DROP DEFAULT;
ALTER TABLE ledger.deadlines DROP CONSTRAINT deadlines_pkey;
ALTER TABLE ledger.deadlines ADD PRIMARY KEY (stream_id, aggregate);

ALTER TABLE ledger.intake ADD topic text NOT NULL DEFAULT 'run.commands';
ALTER TABLE ledger.intake ALTER topic DROP DEFAULT;
ALTER TABLE ledger.intake DROP CONSTRAINT intake_pkey;
ALTER TABLE ledger.intake ADD PRIMARY KEY (log_id, topic, partition);

-- Which partition each of a topic's 4,096 slots lies in, for good. The log has the same (`topic.slots`).
CREATE TABLE ledger.slots (
    log_id text      NOT NULL,
    topic  text      NOT NULL,
    slots  integer[] NOT NULL,
    PRIMARY KEY (log_id, topic)
);

-- Refuse a batch whose owner was overtaken: all that its statement writes is undone.
CREATE FUNCTION ledger.fence(stands boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT stands THEN
        RAISE EXCEPTION 'a position has moved on, or a stream had begun before' USING ERRCODE = 'SY001';
    END IF;
END $$;
