-- Sessions of browsers. A session's text is never stored: it has 256 random bits, so that its SHA-256 is as safe as a slow hash.

CREATE TABLE identity.sessions (
    id          uuid        PRIMARY KEY,
    sha256      text        NOT NULL UNIQUE CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    principal   jsonb       NOT NULL,
    key_id      uuid        REFERENCES identity.api_keys,
    created_at  timestamptz NOT NULL,
    used_at     timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);

-- Those that ended are deleted by this, the oldest first.
CREATE INDEX sessions_by_end ON identity.sessions (expires_at);
