-- Every statement of the ledger but the one that writes a batch (`commit_statement.py` puts that one together of parts, below).
-- `%(name)b` is a value in binary.

-- name: select-commits
-- The commits of some streams. The empty text stands where the eventsourcing library has an event's name.
SELECT stream_id, version, '', events FROM ledger.commits
WHERE stream_id = ANY(%(streams)b) AND aggregate = %(aggregate)b ORDER BY stream_id, version

-- name: select-refusals
-- What was refused about some streams.
SELECT command_id, stream_id, request_sha256, outcome FROM ledger.refusals
WHERE stream_id = ANY(%(streams)b) AND aggregate = %(aggregate)b

-- name: select-notifications
-- The commits of an aggregate between two positions: bounded on both sides, since a block-range index finds a range alone. A page ends
-- behind the commit that fills it; the size of a value is known without reading it.
SELECT stream_id, version, '', events, position FROM (
    SELECT stream_id, version, events, position, sum(octet_length(events)) OVER (ORDER BY position) - octet_length(events) AS before
    FROM ledger.commits WHERE position BETWEEN %(first)b AND %(last)b AND aggregate = %(aggregate)b
) AS page WHERE before < %(bytes)b ORDER BY position

-- name: last-position
-- A position that no commit is beyond. The sequence knows; max() would read the whole table.
SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('ledger.commits', 'position')), 0)

-- name: begin-partitions
-- Let partitions that were never decided stand at 0.
INSERT INTO ledger.intake (log_id, topic, partition, position)
SELECT %(log_id)b, %(topic)b, p, 0 FROM unnest(%(partitions)b::int4[]) AS p
ON CONFLICT DO NOTHING

-- name: select-positions
-- How far partitions are decided.
SELECT partition, position FROM ledger.intake
WHERE log_id = %(log_id)b AND topic = %(topic)b AND partition = ANY(%(partitions)b)

-- name: is-known-log
-- Whether anything of this log was ever decided for this topic.
SELECT EXISTS (SELECT FROM ledger.intake WHERE log_id = %(log_id)b AND topic = %(topic)b)

-- name: delete-refusals
-- Forget old refusals. Several orchestrators may do so at once: each row is deleted by one of them.
DELETE FROM ledger.refusals WHERE (command_id, aggregate) IN (
    SELECT command_id, aggregate FROM ledger.refusals WHERE at < now() - make_interval(secs => %(older_than)b) ORDER BY at
    LIMIT %(most)b FOR UPDATE SKIP LOCKED)

-- name: take-due
-- Deadlines that have passed, and when each fires again. Several orchestrators may look at once: one of them takes a row.
UPDATE ledger.deadlines SET due_at = now() + make_interval(secs => %(again)b)
WHERE (stream_id, aggregate) IN (
    SELECT stream_id, aggregate FROM ledger.deadlines WHERE due_at <= now() AND aggregate = ANY(%(aggregates)b)
    ORDER BY due_at LIMIT %(most)b FOR UPDATE SKIP LOCKED)
RETURNING aggregate, stream_id, kind, tenant, at, about, count

-- name: select-waiting
-- The streams of an aggregate that wait for a time, or for one of some kinds, in pages by id. A page ends behind the stream that fills it.
SELECT stream_id FROM (
    SELECT stream_id, sum(bytes) OVER (ORDER BY stream_id) - bytes AS before
    FROM (
        SELECT stream_id FROM ledger.deadlines
        WHERE stream_id > %(after)b AND aggregate = %(aggregate)b AND (cardinality(%(kinds)b::text[]) = 0 OR kind = ANY(%(kinds)b))
        ORDER BY stream_id LIMIT %(most)b
    ) AS waiting CROSS JOIN LATERAL (
        SELECT coalesce(sum(octet_length(events)), 0) AS bytes FROM ledger.commits AS c
        WHERE c.stream_id = waiting.stream_id AND c.aggregate = %(aggregate)b
    ) AS size
) AS page WHERE before < %(bytes)b ORDER BY stream_id

-- name: select-republish-from
-- From which commit on the topic of events lacks what was written before this log began; no row when it lacks nothing.
SELECT position FROM ledger.intake WHERE log_id = %(log_id)b AND topic = %(topic)b AND partition = 0

-- name: keep-republish-from
-- Keep that position.
INSERT INTO ledger.intake (log_id, topic, partition, position) VALUES (%(log_id)b, %(topic)b, 0, %(position)b)
ON CONFLICT (log_id, topic, partition) DO UPDATE SET position = excluded.position

-- name: end-republishing
-- The topic of events lacks nothing any more.
DELETE FROM ledger.intake WHERE log_id = %(log_id)b AND topic = %(topic)b

-- name: select-slot-maps
-- Which partition each slot of a topic lies in.
SELECT topic, slots FROM ledger.slots WHERE log_id = %(log_id)b

-- name: insert-slot-map
-- Keep a topic's map. The first one stands.
INSERT INTO ledger.slots (log_id, topic, slots) VALUES (%(log_id)b, %(topic)b, %(slots)b::int4[]) ON CONFLICT DO NOTHING

-- name: check
-- Whether the database takes no writes, and whether it is one without a ledger.
SELECT current_setting('transaction_read_only') = 'on', to_regclass('ledger.commits') IS NULL

-- name: part-moved
-- Of a batch: its partitions move on from where this owner stands.
UPDATE ledger.intake AS i SET position = m.after
FROM unnest(%(partitions)b::int4[], %(before)b::int8[], %(after)b::int8[]) AS m (partition, before, after)
WHERE i.log_id = %(log_id)b AND i.topic = %(topic)b AND i.partition = m.partition AND i.position = m.before
RETURNING i.partition

-- name: part-known
-- Of a batch: what the ledger holds of streams that were taken to be new.
SELECT 1 FROM ledger.commits WHERE stream_id = ANY(%(begun)b) AND aggregate = %(aggregate)b
UNION ALL SELECT 1 FROM ledger.refusals WHERE stream_id = ANY(%(begun)b) AND aggregate = %(aggregate)b

-- name: part-written
-- Of a batch: its commits.
INSERT INTO ledger.commits (stream_id, version, aggregate, events)
SELECT stream_id, version, %(aggregate)b, events
FROM unnest(%(streams)b::uuid[], %(versions)b::int4[], %(events)b::bytea[]) AS c (stream_id, version, events)

-- name: part-refused
-- Of a batch: its refusals. The first answer stands: a command delivered again is not refused anew.
INSERT INTO ledger.refusals (aggregate, stream_id, command_id, request_sha256, outcome)
SELECT %(aggregate)b, * FROM unnest(%(refusing)b::uuid[], %(refused)b::uuid[], %(digests)b::text[], %(outcomes)b::bytea[])
ON CONFLICT DO NOTHING

-- name: part-awaiting
-- Of a batch: the times that streams wait for.
INSERT INTO ledger.deadlines (stream_id, aggregate, due_at, at, tenant, kind, about, count)
SELECT stream_id, %(aggregate)b, at, at, tenant, kind, about, count
FROM unnest(%(waiting)b::uuid[], %(at)b::timestamptz[], %(tenant)b::text[], %(kind)b::text[], %(about)b::text[],
    %(count)b::int4[]) AS said (stream_id, at, tenant, kind, about, count)
ON CONFLICT (stream_id, aggregate) DO UPDATE SET
    due_at = excluded.due_at, at = excluded.at, tenant = excluded.tenant, kind = excluded.kind, about = excluded.about, count = excluded.count

-- name: part-cleared
-- Of a batch: streams that wait for no time any more.
DELETE FROM ledger.deadlines WHERE stream_id = ANY(%(cleared)b) AND aggregate = %(aggregate)b
