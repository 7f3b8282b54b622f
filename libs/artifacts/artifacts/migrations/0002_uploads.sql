-- The answers to uploads under an idempotency key: the same key and the same upload get the same answer again.

CREATE TABLE artifacts.uploads (
    tenant          text        NOT NULL,
    key             text        NOT NULL,
    request_sha256  text        NOT NULL,
    sha256          text        NOT NULL,
    size            bigint      NOT NULL,
    media_type      text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, key)
);
