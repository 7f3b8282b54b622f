-- Every query on API keys. Each is bound to one tenant, but for those that come before a tenant is known: find, ended, has-any.

-- name: find
-- The key with a hash.
SELECT * FROM identity.api_keys WHERE sha256 = $1;

-- name: ended
-- Which of these keys do not hold: a key that is not there neither.
SELECT asked.id
FROM unnest($1::uuid[]) AS asked (id)
LEFT JOIN identity.api_keys AS key ON key.id = asked.id AND key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > $2)
WHERE key.id IS NULL;

-- name: has-any
-- Whether there is any key.
SELECT EXISTS (SELECT FROM identity.api_keys);

-- name: get
-- A key of a tenant.
SELECT * FROM identity.api_keys WHERE tenant = $1 AND id = $2;

-- name: first-page
-- The oldest keys of a tenant.
SELECT * FROM identity.api_keys WHERE tenant = $1 ORDER BY created_at, id LIMIT $2;

-- name: next-page
-- Its keys behind one.
SELECT * FROM identity.api_keys WHERE tenant = $1 AND (created_at, id) > ($3, $4) ORDER BY created_at, id LIMIT $2;

-- name: add
-- Keep a key.
INSERT INTO identity.api_keys
    (id, tenant, sha256, name, subject, kind, roles, groups, owner, prefix, created_at, created_by, expires_at, revoked_at, replaced_by,
     scopes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16);

-- name: revoke
-- Revoke a key; the first time counts. Nothing is returned when the tenant has no such key.
UPDATE identity.api_keys SET revoked_at = coalesce(revoked_at, $3) WHERE tenant = $1 AND id = $2 RETURNING id;

-- name: rotate
-- Put a key in another one's place, in one statement. Of two at once the second finds `replaced_by` set, and changes nothing.
WITH former AS (
    UPDATE identity.api_keys SET replaced_by = $1, expires_at = least(expires_at, $14)
    WHERE tenant = $2 AND id = $13 AND revoked_at IS NULL AND replaced_by IS NULL AND (expires_at IS NULL OR expires_at > $10)
    RETURNING *
), made AS (
    INSERT INTO identity.api_keys
        (id, tenant, sha256, name, subject, kind, roles, groups, owner, prefix, created_at, created_by, expires_at, scopes)
    SELECT $1, former.tenant, $3, $4, $5, $6, $7, $8, $15, $9, $10, $11, $12, $16 FROM former
)
SELECT * FROM former;
