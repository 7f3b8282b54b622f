-- Who started a run, as its credential said: a requester reads its own runs.
ALTER TABLE views.hitl_runs ADD COLUMN IF NOT EXISTS requester text;
CREATE INDEX IF NOT EXISTS hitl_runs_of_requester
    ON views.hitl_runs (tenant, requester, created_at DESC, run_id DESC) WHERE requester IS NOT NULL;
