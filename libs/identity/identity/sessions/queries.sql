-- Every query on sessions. They come before a tenant is known: a session is asked for by its hash.

-- name: find
-- The session with a hash, and what has become of its key. Its last use is kept, once a minute at most.
WITH used AS (
    UPDATE identity.sessions SET used_at = $2
    WHERE sha256 = $1 AND used_at < $2::timestamptz - interval '1 minute' AND expires_at > $2
)
SELECT session.id, session.principal, session.key_id, session.created_at, session.used_at,
    least(session.expires_at, key.expires_at) AS expires_at, key.revoked_at IS NOT NULL AS is_revoked
FROM identity.sessions AS session
LEFT JOIN identity.api_keys AS key ON key.id = session.key_id
WHERE session.sha256 = $1;

-- name: ended
-- Which of these sessions and keys do not hold: one that is not there neither.
SELECT asked.id
FROM unnest($1::uuid[]) AS asked (id)
LEFT JOIN identity.sessions AS session ON session.id = asked.id AND session.expires_at > $3
LEFT JOIN identity.api_keys AS key ON key.id = session.key_id
WHERE session.id IS NULL OR key.revoked_at IS NOT NULL OR key.expires_at <= $3
UNION ALL
SELECT asked.id
FROM unnest($2::uuid[]) AS asked (id)
LEFT JOIN identity.api_keys AS key ON key.id = asked.id AND key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > $3)
WHERE key.id IS NULL;

-- name: add
-- Keep a session, and delete a hundred that ended an hour ago or more. Rows that another sign-in deletes are left to it.
WITH deleted AS (
    DELETE FROM identity.sessions
    WHERE id IN (
        SELECT id FROM identity.sessions
        WHERE expires_at < $5::timestamptz - interval '1 hour'
        ORDER BY expires_at LIMIT 100 FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO identity.sessions (id, sha256, principal, key_id, created_at, used_at, expires_at)
VALUES ($1, $2, $3::text::jsonb, $4, $5, $6, $7);

-- name: end
-- End a session. Its row stays for an hour, so that its id is not taken again.
UPDATE identity.sessions SET expires_at = $2 WHERE sha256 = $1 AND expires_at > $2;
