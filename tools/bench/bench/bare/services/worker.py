"""The bare worker: an order in, its claim committed if it is a call, a prepared answer out."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import asyncpg
from pydantic_core import from_json, to_json

from bench.bare.decider import new_id
from bench.bare.kafka import Sender, batches, partition_of, run
from bench.bare.settings import Settings
from bench.bare.steps import Json, filled, read
from contracts.topics import COMMANDS, WORK

TABLE = """
CREATE SCHEMA worker;
CREATE TABLE worker.claims (
    tenant text, work_id text, attempt integer, claimed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, work_id, attempt))"""

_CLAIM = """
INSERT INTO worker.claims (tenant, work_id, attempt) SELECT * FROM unnest($1::text[], $2::text[], $3::int4[])
ON CONFLICT DO NOTHING RETURNING work_id"""


async def main() -> None:
    """Answer every order."""
    settings = Settings.read()
    answers = {order.order["kind"]: after.command for order, after in pairwise(read(settings.steps)) if order.order}
    sender = Sender(settings.kafka)
    claim = await (await asyncpg.connect(settings.database)).prepare(_CLAIM)
    await sender.start()
    async for records in batches(settings.kafka, WORK):
        orders = [from_json(record.value) for record in records]
        calls = [order for order in orders if order["kind"] == "execute.v1"]
        if calls:
            mine = await claim.fetch(*([call[name] for call in calls] for name in ("tenant", "work_id", "attempt")))
            assert len(mine) == len(calls), "a call was claimed before"
        for order in orders:
            _answer(sender, answers[order["kind"]], order)


def _answer(sender: Sender, answer: Json, order: Json) -> None:
    said = {**order, "kind": answer["kind"], "command_id": new_id(), "at": datetime.now(UTC).isoformat()}
    run_id = order["run_id"]
    sender.send(COMMANDS, partition_of(run_id), run_id.encode(), to_json(filled(answer, said)))


if __name__ == "__main__":
    run(main)
