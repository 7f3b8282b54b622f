-- The tables of version 0.1, which were made without numbers: a database that has them is taken over as it is.

CREATE TABLE IF NOT EXISTS artifacts.blobs (
    tenant      text        NOT NULL,
    sha256      text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    size        bigint      NOT NULL,
    media_type  text        NOT NULL,
    body        bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, sha256)
);

-- Images do not compress again.
ALTER TABLE artifacts.blobs ALTER COLUMN body SET STORAGE EXTERNAL;

-- Which sessions brought an artifact.
CREATE TABLE IF NOT EXISTS artifacts.sessions (
    tenant      text        NOT NULL,
    session_id  text        NOT NULL,
    sha256      text        NOT NULL,
    linked_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, session_id, sha256),
    FOREIGN KEY (tenant, sha256) REFERENCES artifacts.blobs ON DELETE CASCADE
);
