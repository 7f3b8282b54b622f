-- The worker's queries. Its tables are described in `migrations`.

-- name: claim-calls
-- Claim calls, all at once. A claim of the same token is confirmed, so that an answer lost on the wire can be asked for again.
INSERT INTO worker.claims (tenant, work_id, attempt, claimed_by)
SELECT tenant, work_id, attempt, $4
FROM unnest($1::text[], $2::text[], $3::integer[]) AS wanted (tenant, work_id, attempt)
ON CONFLICT (tenant, work_id, attempt) DO UPDATE SET claimed_by = EXCLUDED.claimed_by
    WHERE claims.claimed_by = EXCLUDED.claimed_by
RETURNING tenant, work_id, attempt

-- name: release-calls
-- Give up claims of calls that did not begin, as a worker does that stops.
DELETE FROM worker.claims USING unnest($1::text[], $2::text[], $3::integer[]) AS held (tenant, work_id, attempt)
WHERE (claims.tenant, claims.work_id, claims.attempt) = (held.tenant, held.work_id, held.attempt) AND claims.claimed_by = $4

-- name: forget-claims
-- Drop claims older than any order that could still be delivered: `provider.work` keeps orders that long, deadlines are shorter.
DELETE FROM worker.claims WHERE claimed_at < now() - INTERVAL '7 days'

-- name: reserve-slots
-- Reserve slots of an account. Its row is locked for this statement alone, on the server: a worker that hangs holds up no other.
SELECT begins_in, seconds, again_in FROM worker.reserve($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: settle-tokens
-- Correct the tokens that were estimated by those that were used. A second that was deleted is out of every window.
UPDATE worker.tokens SET tokens = greatest(0, tokens + $3) WHERE name = $1 AND second = $2

-- name: close-account
-- Reserve no slot of an account for some seconds.
INSERT INTO worker.limits (name, closed_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (name) DO UPDATE SET closed_until = greatest(limits.closed_until, EXCLUDED.closed_until)

-- name: lock-budgets
-- Insert budgets where they are missing and lock them, in the given order, which is always the same: tenant, user, run.
INSERT INTO worker.budgets AS b (tenant, scope, name, period)
SELECT $1, scope, name, period FROM unnest($2::text[], $3::text[], $4::text[]) AS wanted (scope, name, period)
ON CONFLICT (tenant, scope, name, period) DO UPDATE SET used_at = now()
RETURNING scope, spent

-- name: held-by-others
-- Sum up what other runs hold of a tenant's and of a user's budget.
SELECT coalesce(sum(amount), 0) AS by_tenant, coalesce(sum(amount) FILTER (WHERE user_id = $3), 0) AS by_user
FROM worker.holds WHERE tenant = $1 AND run_id <> $2 AND lapses_at > now() AND period = ANY($4)

-- name: hold
-- Hold an amount for a run, in place of what it held before.
INSERT INTO worker.holds (tenant, run_id, user_id, period, amount, lapses_at, version)
VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6), $7)
ON CONFLICT (tenant, run_id) DO UPDATE
    SET user_id = EXCLUDED.user_id, period = EXCLUDED.period, amount = EXCLUDED.amount, lapses_at = EXCLUDED.lapses_at,
        version = EXCLUDED.version

-- name: release-hold
-- Hold nothing for a run.
DELETE FROM worker.holds WHERE tenant = $1 AND run_id = $2

-- name: end-hold
-- Hold nothing for a run that ended at a version. What its retry holds is of a later one.
DELETE FROM worker.holds WHERE tenant = $1 AND run_id = $2 AND version <= $3

-- name: is-charged
-- Find out whether a call was charged before.
SELECT true FROM worker.charges WHERE tenant = $1 AND run_id = $2 AND work_id = $3 AND attempt = $4

-- name: charge
-- Charge a call, and name the budgets for when it is settled.
INSERT INTO worker.charges (tenant, run_id, work_id, attempt, amount, scopes, names, periods)
VALUES ($1, $2, $3, $4, $5, $6::text[], $7::text[], $8::text[])

-- name: settle
-- Correct the charge of a call, or of the run's last one; return by how much and on which budgets, or nothing if it is settled.
WITH last AS (
    SELECT work_id, attempt, amount FROM worker.charges
    WHERE tenant = $1 AND run_id = $2 AND ($3::text IS NULL OR (work_id, attempt) = ($3, $4::integer))
    ORDER BY charged_at DESC, attempt DESC LIMIT 1
), corrected AS (
    UPDATE worker.charges AS c SET amount = $5, settled = true FROM last
    WHERE c.tenant = $1 AND c.run_id = $2 AND (c.work_id, c.attempt) = (last.work_id, last.attempt) AND NOT c.settled
    RETURNING $5 - last.amount AS more, c.scopes, c.names, c.periods
)
SELECT more, scopes, names, periods FROM corrected

-- name: count-spent
-- Count an amount on budgets that are locked.
UPDATE worker.budgets AS b SET spent = b.spent + $5
FROM unnest($2::text[], $3::text[], $4::text[]) AS wanted (scope, name, period)
WHERE b.tenant = $1 AND (b.scope, b.name, b.period) = (wanted.scope, wanted.name, wanted.period)

-- name: forget-holds
-- Drop holds that have lapsed.
DELETE FROM worker.holds WHERE lapses_at < now()

-- name: forget-charges
-- Drop charges older than any call that could still be settled.
DELETE FROM worker.charges WHERE charged_at < now() - INTERVAL '40 days'

-- name: forget-budgets
-- Drop budgets of periods long past.
DELETE FROM worker.budgets WHERE used_at < now() - INTERVAL '800 days'
