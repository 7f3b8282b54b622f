-- The parts of the statement that writes a batch (`commit_statement.py` puts together those that a batch needs). `{name}` is a value.

-- name: moved
-- The partitions move on from where this owner stands.
UPDATE ledger.intake AS i SET position = m.after
FROM unnest({partitions}::int4[], {before}::int8[], {after}::int8[]) AS m (partition, before, after)
WHERE i.log_id = {log_id} AND i.topic = {topic} AND i.partition = m.partition AND i.position = m.before
RETURNING i.partition

-- name: known
-- What the ledger holds of streams that were taken to be new.
SELECT 1 FROM ledger.commits WHERE stream_id = ANY({begun}) AND aggregate = {aggregate}
UNION ALL SELECT 1 FROM ledger.refusals WHERE stream_id = ANY({begun}) AND aggregate = {aggregate}

-- name: written
-- The commits.
INSERT INTO ledger.commits (stream_id, version, aggregate, events)
SELECT stream_id, version, {aggregate}, events
FROM unnest({streams}::uuid[], {versions}::int4[], {events}::bytea[]) AS c (stream_id, version, events)

-- name: refused
-- The refusals. The first answer stands: a command delivered again is not refused anew.
INSERT INTO ledger.refusals (aggregate, stream_id, command_id, request_sha256, outcome)
SELECT {aggregate}, * FROM unnest({refusing}::uuid[], {refused}::uuid[], {digests}::text[], {outcomes}::bytea[])
ON CONFLICT DO NOTHING

-- name: awaiting
-- The times that streams wait for.
INSERT INTO ledger.deadlines (stream_id, aggregate, due_at, at, tenant, kind, about, count)
SELECT stream_id, {aggregate}, at, at, tenant, kind, about, count
FROM unnest({waiting}::uuid[], {at}::timestamptz[], {tenant}::text[], {kind}::text[], {about}::text[],
    {count}::int4[]) AS said (stream_id, at, tenant, kind, about, count)
ON CONFLICT (stream_id, aggregate) DO UPDATE SET
    due_at = excluded.due_at, at = excluded.at, tenant = excluded.tenant, kind = excluded.kind, about = excluded.about, count = excluded.count

-- name: cleared
-- The streams that wait for no time any more.
DELETE FROM ledger.deadlines WHERE stream_id = ANY({cleared}) AND aggregate = {aggregate}
