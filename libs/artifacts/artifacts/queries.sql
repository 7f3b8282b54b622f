-- Every query of the artifact store. Each is bound to one tenant.

-- name: media-type
-- The media type of an artifact, or nothing when the tenant has none such.
SELECT media_type FROM artifacts.blobs WHERE tenant = $1 AND sha256 = $2;

-- name: find
-- An artifact without its bytes.
SELECT size, media_type FROM artifacts.blobs WHERE tenant = $1 AND sha256 = $2;

-- name: read
-- An artifact with its bytes.
SELECT size, media_type, body FROM artifacts.blobs WHERE tenant = $1 AND sha256 = $2;

-- name: piece
-- A piece of an artifact's bytes. They are stored uncompressed, so that no other piece is read.
SELECT substring(body FROM $3 FOR $4) FROM artifacts.blobs WHERE tenant = $1 AND sha256 = $2;

-- name: insert
-- Keep bytes that are not there yet; the same bytes again are the same row.
INSERT INTO artifacts.blobs (tenant, sha256, size, media_type, body) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant, sha256) DO NOTHING;

-- name: link
-- Remember which session brought an artifact.
INSERT INTO artifacts.sessions (tenant, session_id, sha256) VALUES ($1, $2, $3)
ON CONFLICT (tenant, session_id, sha256) DO NOTHING;

-- name: retype
-- Give an artifact another media type: uploads of the same bytes said different ones.
UPDATE artifacts.blobs SET media_type = $3 WHERE tenant = $1 AND sha256 = $2;

-- name: answer
-- Note the answer to an upload under a key that is new; nothing is returned when the key was used.
INSERT INTO artifacts.uploads (tenant, key, request_sha256, sha256, size, media_type) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant, key) DO NOTHING
RETURNING key;

-- name: answered
-- The answer that an upload under this key got, and the digest of that upload.
SELECT request_sha256, sha256, size, media_type FROM artifacts.uploads WHERE tenant = $1 AND key = $2;
