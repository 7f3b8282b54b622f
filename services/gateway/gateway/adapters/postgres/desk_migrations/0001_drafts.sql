-- Drafts of decisions: one a person and run. They are in no history, so no rebuild of the read model touches them.

CREATE TABLE desk.drafts (
    tenant         text        NOT NULL,
    run_id         uuid        NOT NULL,
    person         text        NOT NULL,
    checkpoint_id  uuid        NOT NULL,
    draft          text        NOT NULL,
    saved_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant, run_id, person)
);

CREATE INDEX drafts_oldest ON desk.drafts (saved_at);
