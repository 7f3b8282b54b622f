-- Every query on absences. Each is bound to a tenant.

-- name: lock
-- Let one change of a tenant's absences come after the other, so that two at once make no circle.
SELECT pg_advisory_xact_lock(hashtextextended('sayso absences ' || $1, 0));

-- name: first-page
-- The absences of a tenant that have not ended, those that begin first before others.
SELECT id, tenant, person, substitute, begins_at, ends_at, reason, created_at, created_by FROM identity.absences
WHERE tenant = $1 AND ends_at > $2 ORDER BY begins_at, id LIMIT $3;

-- name: next-page
-- Those behind one.
SELECT id, tenant, person, substitute, begins_at, ends_at, reason, created_at, created_by FROM identity.absences
WHERE tenant = $1 AND ends_at > $2 AND (begins_at, id) > ($4, $5) ORDER BY begins_at, id LIMIT $3;

-- name: between
-- The absences of a tenant that hold at a time from one on until before another, but for those of persons who have left: they have credentials,
-- keys or what was seen of their tokens, and none that may decide. A person without any may come by a token that was not seen yet.
SELECT person, substitute, begins_at, ends_at FROM identity.absences AS absence
WHERE tenant = $1 AND ends_at > $2 AND begins_at < $3 AND (
    EXISTS (
        SELECT FROM identity.api_keys AS key
        WHERE key.tenant = $1
            AND CASE WHEN key.kind = 'service' AND key.owner IS NOT NULL THEN key.owner ELSE key.subject END = absence.person
            AND key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > $2)
            AND (key.scopes = '{}' OR 'decisions:write' = ANY (key.scopes)) AND key.roles && ARRAY['reviewer', 'admin']
    )
    OR EXISTS (
        SELECT FROM identity.people AS seen
        WHERE seen.tenant = $1 AND seen.person = absence.person AND seen.roles && ARRAY['reviewer', 'admin']
    )
    OR NOT EXISTS (
        SELECT FROM identity.api_keys AS key
        WHERE key.tenant = $1
            AND CASE WHEN key.kind = 'service' AND key.owner IS NOT NULL THEN key.owner ELSE key.subject END = absence.person
    )
    AND NOT EXISTS (SELECT FROM identity.people AS seen WHERE seen.tenant = $1 AND seen.person = absence.person)
);

-- name: own-overlap
-- An absence of a person at a part of a time.
SELECT begins_at, ends_at FROM identity.absences
WHERE tenant = $1 AND ends_at > $2 AND begins_at < $3 AND id <> $4 AND person = $5 LIMIT 1;

-- name: overlapping
-- The absences of a tenant at a part of a time.
SELECT person, substitute, begins_at, ends_at FROM identity.absences
WHERE tenant = $1 AND ends_at > $2 AND begins_at < $3 AND id <> $4;

-- name: counts
-- How many absences of a person, and of its tenant, have not ended.
SELECT count(*) FILTER (WHERE person = $2) AS of_person, count(*) AS of_tenant FROM identity.absences
WHERE tenant = $1 AND ends_at > $3;

-- name: add
-- Keep an absence, unless one of its id is kept, and delete some that ended long ago.
WITH deleted AS (
    DELETE FROM identity.absences
    WHERE id IN (
        SELECT id FROM identity.absences WHERE ends_at < $8::timestamptz - interval '400 days'
        ORDER BY ends_at LIMIT 100 FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO identity.absences (id, tenant, person, substitute, begins_at, ends_at, reason, created_at, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO NOTHING;

-- name: get
-- An absence of a tenant.
SELECT id, tenant, person, substitute, begins_at, ends_at, reason, created_at, created_by FROM identity.absences
WHERE tenant = $1 AND id = $2;

-- name: delete
-- Delete an absence of a tenant, and say whether there was one.
DELETE FROM identity.absences WHERE tenant = $1 AND id = $2 RETURNING id;
