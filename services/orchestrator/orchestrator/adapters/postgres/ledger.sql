-- What the ledger holds beside the record (`contracts/ledger_schema.sql`), made in the same transaction.

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
