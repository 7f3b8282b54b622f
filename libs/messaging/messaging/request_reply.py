"""Asking the orchestrator and being answered: a command goes out, its outcome comes back on the asker's own partition."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence

from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from contracts.runs.commands import Command
from contracts.runs.outcomes import Outcome, parse_outcome
from contracts.topics import COMMANDS, OUTCOMES
from messaging.consumer import subscribe_partitions
from messaging.producer import Producer
from messaging.records import Outgoing, RawRecord

_Asked = tuple[bytes, bytes]
"""A command's id, and the digest of its request: another body with the same Idempotency-Key gets an answer of its own."""

_log = logging.getLogger(__name__)


class Unavailable(Exception):
    """The command could not be handed over."""


class Desk:
    """Sends commands and hands each asker its outcome. One a process, on one partition of `run.outcomes`."""

    def __init__(self, broker: KafkaBroker, producer: Producer, fetch_wait_ms: int) -> None:
        self._producer = producer
        self._waiting: dict[_Asked, list[asyncio.Future[Outcome]]] = {}
        self.partition = random.randrange(OUTCOMES.partitions)  # noqa: S311 - a choice, not a secret
        self._subscriber = subscribe_partitions(
            broker, OUTCOMES, [self.partition], self.on_records, fetch_wait_ms=fetch_wait_ms
        )

    async def listening(self) -> None:
        """Return once every outcome from now on will be seen. Call it after the broker's start."""
        consumer = self._subscriber.consumer
        assert consumer is not None, "the broker starts first"
        for partition in consumer.assignment():
            await consumer.position(partition)

    async def ask(self, command: Command, wait: float) -> Outcome | None:
        """Send `command` and return its outcome, or None when `wait` seconds have passed: it is carried out later.

        Raises Unavailable when Kafka does not take the command within `wait`.
        """
        command = command.changed({"reply_to": self.partition})
        sending = Outgoing(COMMANDS.name, str(command.run_id).encode(), command.model_dump_json().encode())
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        asked = (command.command_id.bytes, (command.request_sha256 or "").encode())
        asking = self._waiting.setdefault(asked, [])
        asking.append(outcome)
        sent = False
        try:
            async with asyncio.timeout(wait):
                await self._producer.send(sending)
                sent = True
                return await outcome
        except (TimeoutError, KafkaError) as error:
            if sent:
                return None
            raise Unavailable(str(error) or "Kafka does not answer") from error
        finally:
            asking.remove(outcome)
            if not asking:
                self._waiting.pop(asked, None)

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Hand outcomes to who asked; those of other askers on this partition are skipped unread."""
        for record in records:
            headers = dict(record.headers)
            asking = self._waiting.get((headers.get("command_id", b""), headers.get("request_sha256", b"")))
            if not asking:
                continue
            try:
                outcome = parse_outcome(record.value or b"")
            except ValueError as error:
                _log.error("an outcome could not be read: %s", error)
                continue
            for waiting in asking:
                if not waiting.done():
                    waiting.set_result(outcome)
