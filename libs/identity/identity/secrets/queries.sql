-- Every query on secrets. They belong to the whole installation, and to no tenant.

-- name: make-secret
-- Keep a secret, unless there is one of this name.
INSERT INTO identity.secrets (name, value, created_at) VALUES ($1, $2, now()) ON CONFLICT (name) DO NOTHING;

-- name: get-secret
-- The secret of a name.
SELECT value FROM identity.secrets WHERE name = $1;
