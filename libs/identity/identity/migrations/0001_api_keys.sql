-- API keys. A key itself is never stored: it has 256 random bits, so that its SHA-256 is as safe as a slow hash.

CREATE TABLE identity.api_keys (
    id           uuid        PRIMARY KEY,
    tenant       text        NOT NULL,
    sha256       text        NOT NULL UNIQUE CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    name         text        NOT NULL,
    subject      text        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('person', 'service')),
    roles        text[]      NOT NULL,
    groups       text[]      NOT NULL,
    owner        text,
    prefix       text        NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   text        NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    replaced_by  uuid        REFERENCES identity.api_keys
);

-- A tenant's list, oldest first.
CREATE INDEX api_keys_of_tenant ON identity.api_keys (tenant, created_at, id);
