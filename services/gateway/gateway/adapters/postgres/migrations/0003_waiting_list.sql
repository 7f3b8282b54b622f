-- The task of an open checkpoint, by which the waiting list is filtered and sorted, and who may read a run.
-- Entries of `readers`: `*` is every reviewer of the tenant, `u:ann` a person, `g:legal` the members of a group.

-- Runs that stood before had no rules: every reviewer of the tenant read them, and still does. The defaults stay: a gateway of the
-- version before may write beside this one. `readers` of a run leaves out `*`, which is a column without an index: a run without
-- rules changes no indexed column when it asks its first person, and its update stays within its page.
ALTER TABLE views.hitl_runs
    ADD COLUMN IF NOT EXISTS for_every_reviewer boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS readers            text[];
CREATE INDEX IF NOT EXISTS hitl_runs_of_readers ON views.hitl_runs USING gin (readers) WHERE readers IS NOT NULL;

-- `candidates` is null where every reviewer may decide, `due_at` the last time that there is where no date is set.
ALTER TABLE views.hitl_pending_approvals
    ADD COLUMN IF NOT EXISTS requester    text,
    ADD COLUMN IF NOT EXISTS readers      text[]      NOT NULL DEFAULT '{*}',
    ADD COLUMN IF NOT EXISTS candidates   text[],
    ADD COLUMN IF NOT EXISTS claimant     text,
    ADD COLUMN IF NOT EXISTS lease_until  timestamptz,
    ADD COLUMN IF NOT EXISTS owner        text,
    ADD COLUMN IF NOT EXISTS priority     integer     NOT NULL DEFAULT 50,
    ADD COLUMN IF NOT EXISTS start_by     timestamptz,
    ADD COLUMN IF NOT EXISTS due_at       timestamptz NOT NULL DEFAULT '9999-12-31 00:00:00+00',
    ADD COLUMN IF NOT EXISTS follow_up_at timestamptz,
    ADD COLUMN IF NOT EXISTS words        tsvector;

-- Checkpoints that stood before are found by PostgreSQL's own words of their subject, which are nearly those of the projection. A
-- string of JSON may hold \u0000, which jsonb refuses. A subject that cannot be read all the same is found by no word.
DO $$
DECLARE
    waiting record;
BEGIN
FOR waiting IN
    SELECT p.checkpoint_id, r.requester, (
        SELECT replace(convert_from(e.record, 'UTF8'), '\u0000', '') FROM ledger.events e
        WHERE e.run_id = p.run_id AND e.kind = 'checkpoint-opened.v1'
        ORDER BY e.version DESC LIMIT 1
    ) AS opened
    FROM views.hitl_pending_approvals p JOIN views.hitl_runs r USING (run_id)
LOOP
    BEGIN
        UPDATE views.hitl_pending_approvals
        SET requester = waiting.requester,
            words = jsonb_to_tsvector('simple', waiting.opened::jsonb -> 'data' -> 'subject', '["string"]')
        WHERE checkpoint_id = waiting.checkpoint_id;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        UPDATE views.hitl_pending_approvals SET requester = waiting.requester WHERE checkpoint_id = waiting.checkpoint_id;
    END;
END LOOP;
END $$;

CREATE INDEX IF NOT EXISTS hitl_pending_approvals_due
    ON views.hitl_pending_approvals (tenant, due_at, opened_at, checkpoint_id);
CREATE INDEX IF NOT EXISTS hitl_pending_approvals_urgent
    ON views.hitl_pending_approvals (tenant, (-priority), opened_at, checkpoint_id);
CREATE INDEX IF NOT EXISTS hitl_pending_approvals_of_readers ON views.hitl_pending_approvals USING gin (readers);
CREATE INDEX IF NOT EXISTS hitl_pending_approvals_of_words ON views.hitl_pending_approvals USING gin (words);
CREATE INDEX IF NOT EXISTS hitl_pending_approvals_of_candidates
    ON views.hitl_pending_approvals USING gin (candidates) WHERE candidates IS NOT NULL;
CREATE INDEX IF NOT EXISTS hitl_pending_approvals_of_claimant
    ON views.hitl_pending_approvals (tenant, claimant) WHERE claimant IS NOT NULL;
CREATE INDEX IF NOT EXISTS hitl_pending_approvals_of_assignee
    ON views.hitl_pending_approvals (tenant, assignee) WHERE assignee IS NOT NULL;
