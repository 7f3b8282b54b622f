-- The queries of the read model: schema `views`, and the ledger's table `ledger.commits`, which holds all events of one command in
-- one row.

-- name: ledger-is-there
-- Whether the orchestrator has made the ledger. In an older database `ledger.events` is a table until the orchestrator migrates it.
SELECT to_regclass('ledger.commits') IS NOT NULL
    AND EXISTS (SELECT FROM pg_views WHERE schemaname = 'ledger' AND viewname = 'events')

-- name: load
-- Load the whole history of some runs, with the version of their rows, 0 without one.
SELECT k.run_id, coalesce(r.version, 0) AS reached, c.events
FROM unnest($1::uuid[]) AS k (run_id)
LEFT JOIN views.hitl_runs r USING (run_id)
LEFT JOIN ledger.commits c ON c.stream_id = k.run_id AND c.aggregate = 'run'
ORDER BY k.run_id, c.version

-- name: write
-- Write a batch in one statement. A row is written only over the row it was folded on, and its open checkpoint with it. Decisions
-- are facts and are always written. Rows are locked in the order they are given. A row's arrays come as text, for an array of
-- arrays has rows of one length. Words that are null are those that stand already.
WITH moved AS (
    INSERT INTO views.hitl_runs AS stored
        (run_id, tenant, version, folded_on, state, session_id, user_id, created_at, updated_at, requester,
        for_every_reviewer, readers)
    SELECT run_id, tenant, version, folded_on, state, session_id, user_id, created_at, updated_at, requester,
        for_every_reviewer, readers::text[]
    FROM unnest(
        $1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::timestamptz[],
        $9::timestamptz[], $10::text[], $11::boolean[], $12::text[]
    ) AS moving (run_id, tenant, version, folded_on, state, session_id, user_id, created_at, updated_at, requester,
        for_every_reviewer, readers)
    ON CONFLICT (run_id) DO UPDATE
    SET version = excluded.version, folded_on = excluded.folded_on, state = excluded.state,
        updated_at = excluded.updated_at, for_every_reviewer = excluded.for_every_reviewer, readers = excluded.readers
    WHERE stored.version = excluded.folded_on
    RETURNING run_id
), decided AS (
    INSERT INTO views.hitl_approvals
        (run_id, version, checkpoint_id, tenant, step, action, actor, at, subject_sha256)
    SELECT *
    FROM unnest(
        $13::uuid[], $14::bigint[], $15::uuid[], $16::text[], $17::text[], $18::text[], $19::text[], $20::timestamptz[],
        $21::text[]
    )
    ON CONFLICT DO NOTHING
), closed AS (
    DELETE FROM views.hitl_pending_approvals
    WHERE checkpoint_id = any($22::uuid[]) AND run_id IN (SELECT run_id FROM moved)
), opened AS (
    INSERT INTO views.hitl_pending_approvals AS stored
        (checkpoint_id, run_id, tenant, step, session_id, user_id, opened_at, expires_at, requester, readers, words,
        candidates, assignee, claimant, lease_until, owner, priority, start_by, due_at, follow_up_at)
    SELECT checkpoint_id, run_id, tenant, step, session_id, user_id, opened_at, expires_at, requester, readers::text[],
        words::tsvector, candidates::text[], assignee, claimant, lease_until, owner, priority, start_by, due_at, follow_up_at
    FROM unnest(
        $23::uuid[], $24::uuid[], $25::text[], $26::text[], $27::text[], $28::text[], $29::timestamptz[],
        $30::timestamptz[], $31::text[], $32::text[], $33::text[], $34::text[], $35::text[], $36::text[],
        $37::timestamptz[], $38::text[], $39::integer[], $40::timestamptz[], $41::timestamptz[], $42::timestamptz[]
    ) AS opening (checkpoint_id, run_id, tenant, step, session_id, user_id, opened_at, expires_at, requester, readers,
        words, candidates, assignee, claimant, lease_until, owner, priority, start_by, due_at, follow_up_at)
    WHERE opening.run_id IN (SELECT run_id FROM moved)
    ON CONFLICT (checkpoint_id) DO UPDATE
    SET expires_at = excluded.expires_at, readers = excluded.readers, words = coalesce(excluded.words, stored.words),
        candidates = excluded.candidates, assignee = excluded.assignee, claimant = excluded.claimant,
        lease_until = excluded.lease_until, owner = excluded.owner, priority = excluded.priority,
        start_by = excluded.start_by, due_at = excluded.due_at, follow_up_at = excluded.follow_up_at
    WHERE stored.run_id = excluded.run_id
)
SELECT run_id FROM moved

-- name: lock-runs
-- Make all writers wait, and no reader, during a rebuild.
LOCK TABLE views.hitl_runs IN EXCLUSIVE MODE

-- name: clear
-- Empty the tables before a rebuild.
DELETE FROM views.hitl_pending_approvals;
DELETE FROM views.hitl_approvals;
DELETE FROM views.hitl_runs;

-- name: all-commits
-- Read the whole ledger, run by run, in order.
SELECT events FROM ledger.commits WHERE aggregate = 'run' ORDER BY stream_id, version

-- name: history
-- Read the commits of a run in order, from the one with an event behind $3 on, up to the version of the run's row: reads and lists
-- agree. Each commit has one such event at least, so $4 commits are enough for $4 events. Commits that begin behind $5 bytes stay in
-- their table: a length is read without the value.
SELECT reached, version, events
FROM (
    SELECT r.version AS reached, c.version, c.events,
        sum(octet_length(c.events)) OVER (ORDER BY c.version) - octet_length(c.events) AS before
    FROM views.hitl_runs r
    JOIN ledger.commits c ON c.stream_id = r.run_id AND c.aggregate = 'run'
    WHERE r.tenant = $1 AND r.run_id = $2 AND r.version > $3 AND c.version <= r.version AND c.version >= coalesce(
        (SELECT max(version) FROM ledger.commits
         WHERE stream_id = $2 AND aggregate = 'run' AND version <= least($3::bigint, 2147483646) + 1), 1)
    ORDER BY c.version
    LIMIT $4
) AS part
WHERE before < $5
ORDER BY version

-- name: histories
-- Read the commits of some runs in order, and how many events of each are within the version of the run's row.
SELECT k.run_id, c.events, k.reached - c.version + 1 AS count
FROM unnest($1::uuid[], $2::bigint[]) AS k (run_id, reached)
JOIN ledger.commits c ON c.stream_id = k.run_id AND c.aggregate = 'run' AND c.version <= k.reached
ORDER BY k.run_id, c.version

-- name: may-read
-- Whether a run has one of the entries $3, or was started by $4.
SELECT coalesce(for_every_reviewer AND '*' = any($3::text[]), false) OR coalesce(readers && $3, false)
    OR coalesce(requester = $4, false) AS may
FROM views.hitl_runs
WHERE tenant = $1 AND run_id = $2

-- name: runs
-- Read a page of runs, newest first, with the bytes of their histories. Only the conditions of the request are put in, so that each
-- form finds its index.
SELECT page.*, (
    SELECT sum(octet_length(c.events))
    FROM ledger.commits c WHERE c.stream_id = page.run_id AND c.aggregate = 'run' AND c.version <= page.version
) AS size
FROM (
    SELECT run_id AS id, created_at AS at, NULL AS rank, run_id, version
    FROM views.hitl_runs
    WHERE tenant = $1 {conditions}
    ORDER BY created_at DESC, run_id DESC
    LIMIT $2
) AS page
ORDER BY at DESC, id DESC

-- name: pending
-- Read a page of open checkpoints in an order: by `rank`, then the longest waiting first. Conditions as for runs.
SELECT page.*, (
    SELECT sum(octet_length(c.events))
    FROM ledger.commits c WHERE c.stream_id = page.run_id AND c.aggregate = 'run' AND c.version <= page.version
) AS size
FROM (
    SELECT p.checkpoint_id AS id, p.opened_at AS at, {rank} AS rank, r.run_id, r.version
    FROM views.hitl_pending_approvals p
    JOIN views.hitl_runs r USING (run_id)
    WHERE p.tenant = $1 {conditions}
    ORDER BY {order}
    LIMIT $2
) AS page
ORDER BY {page_order}

-- name: count-pending
-- Count open checkpoints, $2 at most.
SELECT count(*) FROM (
    SELECT FROM views.hitl_pending_approvals p WHERE p.tenant = $1 {conditions} LIMIT $2
) AS counted

-- name: put-draft
-- Keeps a person's draft of a run, in place of the one before.
INSERT INTO desk.drafts (tenant, run_id, person, checkpoint_id, draft, saved_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant, run_id, person) DO UPDATE
SET checkpoint_id = excluded.checkpoint_id, draft = excluded.draft, saved_at = excluded.saved_at;

-- name: get-draft
-- The draft of a person.
SELECT checkpoint_id, draft AS json, saved_at FROM desk.drafts WHERE tenant = $1 AND run_id = $2 AND person = $3;

-- name: drop-draft
-- Drops a person's draft, and says whether there was one.
DELETE FROM desk.drafts WHERE tenant = $1 AND run_id = $2 AND person = $3 RETURNING person;

-- name: drop-forgotten-drafts
-- Drops a few drafts that were last saved before a time.
DELETE FROM desk.drafts WHERE (tenant, run_id, person) IN (
    SELECT tenant, run_id, person FROM desk.drafts WHERE saved_at < $1 ORDER BY saved_at LIMIT 10
);
