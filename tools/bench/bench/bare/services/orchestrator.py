"""The bare orchestrator: commands in; one transaction a batch; then events, orders and outcomes out."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
from pydantic_core import from_json

from bench.bare.decider import Commit, Decider
from bench.bare.kafka import Sender, batches, partition_of, run
from bench.bare.settings import Settings
from bench.bare.steps import IS_JSON, Json, read
from contracts.ledger_schema import commit_of
from contracts.topics import COMMANDS, EVENTS, OUTCOMES, WORK

_INSERT = """
INSERT INTO ledger.commits (aggregate, stream_id, version, events)
SELECT 'run', * FROM unnest($1::uuid[], $2::int4[], $3::bytea[])"""


async def main() -> None:
    """Decide every command."""
    settings = Settings.read()
    decider, sender = Decider(read(settings.steps)), Sender(settings.kafka)
    insert = await (await asyncpg.connect(settings.database)).prepare(_INSERT)
    await sender.start()
    async for records in batches(settings.kafka, COMMANDS):
        now = datetime.now(UTC).isoformat()
        commands = [from_json(record.value) for record in records]
        decisions = [decider.decide(command, now) for command in commands]
        await insert.fetch(
            [decision.run_id for decision in decisions],
            [decision.version for decision in decisions],
            [commit_of(value for _, value in decision.events) for decision in decisions],
        )
        for command, decision in zip(commands, decisions, strict=True):
            _send(sender, command, decision)


def _send(sender: Sender, command: Json, decision: Commit) -> None:
    key, partition = decision.run_id.encode(), partition_of(decision.run_id)
    for headers, value in decision.events:
        sender.send(EVENTS, partition, key, value, headers)
    if decision.order:
        sender.send(WORK, partition, key, decision.order)
    if decision.outcome:
        headers = [("command_id", command["command_id"].encode()), ("request_sha256", b""), *IS_JSON]
        sender.send(OUTCOMES, command["reply_to"], key, decision.outcome, headers)


if __name__ == "__main__":
    run(main)
