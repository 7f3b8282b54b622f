"""The bare read model: each run's last event, and open checkpoints. One transaction a batch; no lists, no views."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import BaseModel

from bench.bare.kafka import batches
from bench.bare.settings import Settings
from contracts.topics import EVENTS

TABLES = """
CREATE SCHEMA views;
CREATE TABLE views.hitl_runs (
    run_id uuid PRIMARY KEY, tenant text NOT NULL, version bigint NOT NULL, last_event text NOT NULL, user_id text,
    session_id text, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE views.hitl_pending_approvals (
    checkpoint_id uuid PRIMARY KEY, run_id uuid NOT NULL, opened_at timestamptz NOT NULL)"""

_WRITE = """
WITH latest AS (
    INSERT INTO views.hitl_runs
    SELECT run_id, tenant, version, kind, user_id, session_id, at, at
    FROM unnest($1::uuid[], $2::text[], $3::int4[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
        AS events (run_id, tenant, version, kind, user_id, session_id, at)
    ON CONFLICT (run_id) DO UPDATE SET
        version = excluded.version, last_event = excluded.last_event, updated_at = excluded.updated_at
), closed AS (DELETE FROM views.hitl_pending_approvals WHERE checkpoint_id = ANY($8::uuid[]))
INSERT INTO views.hitl_pending_approvals SELECT * FROM unnest($9::uuid[], $10::uuid[], $11::timestamptz[])"""


class Event(BaseModel):
    """The members of every event."""

    run_id: UUID
    tenant: str
    version: int
    kind: str
    user_id: str
    session_id: str
    at: datetime


class _Checkpoint(BaseModel):
    checkpoint_id: UUID


class CheckpointEvent(Event):
    """An event of a checkpoint: opened, or approved."""

    data: _Checkpoint


async def project(settings: Settings) -> None:
    """Project every event."""
    write = await (await asyncpg.connect(settings.database)).prepare(_WRITE)
    async for records in batches(settings.kafka, EVENTS):
        events = list(map(_parsed, records))
        latest = {event.run_id: event for event in events}
        opened, closed = dict[UUID, CheckpointEvent](), list[UUID]()
        for event in events:
            if isinstance(event, CheckpointEvent):
                checkpoint_id = event.data.checkpoint_id
                if event.kind == "checkpoint-opened.v1":
                    opened[checkpoint_id] = event
                elif opened.pop(checkpoint_id, None) is None:
                    closed.append(checkpoint_id)
        await write.fetch(
            *([getattr(event, name) for event in latest.values()] for name in Event.model_fields),
            closed,
            list(opened),
            [event.run_id for event in opened.values()],
            [event.at for event in opened.values()],
        )


def _parsed(record: Any) -> Event:
    about_checkpoint = record.headers[0][1].startswith(b"checkpoint-")
    return (CheckpointEvent if about_checkpoint else Event).model_validate_json(record.value)
