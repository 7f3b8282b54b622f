"""Every SQL statement of the artifact store. Each that reads or writes rows is bound to one tenant."""

LOCK = "select pg_advisory_xact_lock(7146250031954)"
"""Let one process at a time make the schema: `if not exists` alone fails when two do it at once."""

SCHEMA = """
create schema if not exists artifacts;

create table if not exists artifacts.blobs (
    tenant      text        not null,
    sha256      text        not null check (sha256 ~ '^[0-9a-f]{64}$'),
    size        bigint      not null,
    media_type  text        not null,
    body        bytea       not null,
    created_at  timestamptz not null default now(),
    primary key (tenant, sha256)
);

alter table artifacts.blobs alter column body set storage external;

create table if not exists artifacts.sessions (
    tenant      text        not null,
    session_id  text        not null,
    sha256      text        not null,
    linked_at   timestamptz not null default now(),
    primary key (tenant, session_id, sha256),
    foreign key (tenant, sha256) references artifacts.blobs on delete cascade
);
"""
"""What the store keeps: the bytes once a tenant, and which sessions brought them. Images do not compress again."""

MEDIA_TYPE = "select media_type from artifacts.blobs where tenant = $1 and sha256 = $2"
"""What an artifact is, or nothing when the tenant has none such."""

FIND = "select size, media_type from artifacts.blobs where tenant = $1 and sha256 = $2"
"""An artifact without its bytes."""

INSERT = """
insert into artifacts.blobs (tenant, sha256, size, media_type, body) values ($1, $2, $3, $4, $5)
on conflict (tenant, sha256) do nothing
"""
"""Keep bytes that are not there yet; the same bytes again are the same row."""

LINK = """
insert into artifacts.sessions (tenant, session_id, sha256) values ($1, $2, $3)
on conflict (tenant, session_id, sha256) do nothing
"""
"""Remember which session brought an artifact."""

READ = "select size, media_type, body from artifacts.blobs where tenant = $1 and sha256 = $2"
"""An artifact with its bytes."""
