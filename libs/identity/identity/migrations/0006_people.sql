-- The roles and groups of persons who come by tokens or sign in at a provider, as they were seen last. Keys say their own.

CREATE TABLE identity.people (
    tenant   text        NOT NULL,
    person   text        NOT NULL,
    roles    text[]      NOT NULL,
    groups   text[]      NOT NULL,
    seen_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, person)
);

-- The keys of a person, its services' among them.
CREATE INDEX api_keys_of_person ON identity.api_keys (tenant, (CASE WHEN kind = 'service' AND owner IS NOT NULL THEN owner ELSE subject END));
