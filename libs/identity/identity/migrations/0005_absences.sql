-- Who stands in for whom, from a time on and until before another.

CREATE TABLE identity.absences (
    id          uuid        PRIMARY KEY,
    tenant      text        NOT NULL,
    person      text        NOT NULL,
    substitute  text        NOT NULL,
    begins_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL CHECK (begins_at < ends_at),
    reason      text,
    created_at  timestamptz NOT NULL,
    created_by  text        NOT NULL
);

-- Those of a tenant that have not ended, and the oldest of all.
CREATE INDEX absences_to_come ON identity.absences (tenant, ends_at);
CREATE INDEX absences_by_end ON identity.absences (ends_at);
