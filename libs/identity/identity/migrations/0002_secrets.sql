-- Secrets of the whole installation. The process that asks first makes one, and none changes it.

CREATE TABLE identity.secrets (
    name        text        PRIMARY KEY,
    value       bytea       NOT NULL CHECK (octet_length(value) = 32),
    created_at  timestamptz NOT NULL
);
