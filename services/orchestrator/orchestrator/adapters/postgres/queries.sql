-- Every statement of the ledger but the one that writes a batch (`batch_parts.sql`).

-- name: select-commits
-- The commits of some streams.
SELECT stream_id, version, events FROM ledger.commits
WHERE stream_id = ANY($1) AND aggregate = $2 ORDER BY stream_id, version

-- name: select-refusals
-- What was refused about some streams.
SELECT command_id, stream_id, request_sha256, outcome FROM ledger.refusals
WHERE stream_id = ANY($1) AND aggregate = $2

-- name: select-commits-from
-- The commits of an aggregate between two positions: bounded on both sides, since a block-range index finds a range alone. A page ends
-- behind the commit that fills it; the size of a value is known without reading it.
SELECT stream_id, version, events, position FROM (
    SELECT stream_id, version, events, position, sum(octet_length(events)) OVER (ORDER BY position) - octet_length(events) AS before
    FROM ledger.commits WHERE position BETWEEN $1 AND $2 AND aggregate = $3
) AS page WHERE before < $4 ORDER BY position

-- name: last-position
-- A position that no commit is beyond. The sequence knows; max() would read the whole table.
SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('ledger.commits', 'position')), 0)

-- name: begin-partitions
-- Let partitions that were never decided stand at 0.
INSERT INTO ledger.intake (log_id, topic, partition, position)
SELECT $1, $2, p, 0 FROM unnest($3::int4[]) AS p
ON CONFLICT DO NOTHING

-- name: select-positions
-- How far partitions are decided.
SELECT partition, position FROM ledger.intake
WHERE log_id = $1 AND topic = $2 AND partition = ANY($3)

-- name: is-known-log
-- Whether anything of this log was ever decided for this topic.
SELECT EXISTS (SELECT FROM ledger.intake WHERE log_id = $1 AND topic = $2)

-- name: delete-refusals
-- Forget old refusals. Several orchestrators may do so at once: each row is deleted by one of them.
DELETE FROM ledger.refusals WHERE (command_id, aggregate) IN (
    SELECT command_id, aggregate FROM ledger.refusals WHERE at < now() - make_interval(secs => $1) ORDER BY at
    LIMIT $2 FOR UPDATE SKIP LOCKED)

-- name: take-due
-- Deadlines that have passed, and when each fires again. Several orchestrators may look at once: one of them takes a row.
UPDATE ledger.deadlines SET due_at = now() + make_interval(secs => $1)
WHERE (stream_id, aggregate) IN (
    SELECT stream_id, aggregate FROM ledger.deadlines WHERE due_at <= now() AND aggregate = ANY($2)
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING aggregate, stream_id, kind, tenant, at, about, count

-- name: select-waiting
-- The streams of an aggregate that wait for a time, or for one of some kinds, in pages by id. A page ends behind the stream that fills it.
SELECT stream_id FROM (
    SELECT stream_id, sum(bytes) OVER (ORDER BY stream_id) - bytes AS before
    FROM (
        SELECT stream_id FROM ledger.deadlines
        WHERE stream_id > $1 AND aggregate = $2 AND (cardinality($3::text[]) = 0 OR kind = ANY($3))
        ORDER BY stream_id LIMIT $4
    ) AS waiting CROSS JOIN LATERAL (
        SELECT coalesce(sum(octet_length(events)), 0) AS bytes FROM ledger.commits AS c
        WHERE c.stream_id = waiting.stream_id AND c.aggregate = $2
    ) AS size
) AS page WHERE before < $5 ORDER BY stream_id

-- name: select-republish-from
-- From which commit on the topic of events lacks what was written before this log began; no row when it lacks nothing.
SELECT position FROM ledger.intake WHERE log_id = $1 AND topic = $2 AND partition = 0

-- name: keep-republish-from
-- Keep that position.
INSERT INTO ledger.intake (log_id, topic, partition, position) VALUES ($1, $2, 0, $3)
ON CONFLICT (log_id, topic, partition) DO UPDATE SET position = excluded.position

-- name: end-republishing
-- The topic of events lacks nothing any more.
DELETE FROM ledger.intake WHERE log_id = $1 AND topic = $2

-- name: select-slot-maps
-- Which partition each slot of a topic lies in.
SELECT topic, slots FROM ledger.slots WHERE log_id = $1

-- name: insert-slot-map
-- Keep a topic's map. The first one stands.
INSERT INTO ledger.slots (log_id, topic, slots) VALUES ($1, $2, $3::int4[]) ON CONFLICT DO NOTHING
