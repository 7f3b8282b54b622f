"""Request and reply over Kafka: a command goes out, its outcome comes back on the asker's own partition of `run.outcomes`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from faststream.kafka import KafkaBroker

from contracts.runs.commands import Command
from contracts.runs.outcomes import Answer, read_answer
from contracts.topics import COMMANDS, OUTCOMES
from messaging.consumer import partitions_of, subscribe_any_partition, wait_for_positions
from messaging.errors import BrokerUnavailable, KafkaError
from messaging.producer import Producer
from messaging.records import Outgoing, RawRecord, key_of

_Request = tuple[bytes, bytes]
"""A command's id, and the digest of its request: another body with the same Idempotency-Key gets an answer of its own."""

_log = logging.getLogger(__name__)


class RequestReply:
    """Sends commands and hands each asker its outcome. One a process; its partition is one of those that the topic has."""

    def __init__(self, broker: KafkaBroker, producer: Producer, fetch_wait_ms: int) -> None:
        self._producer = producer
        self._waiting: dict[_Request, list[asyncio.Future[Answer]]] = {}
        self._partition: int | None = None
        self._subscriber = subscribe_any_partition(broker, OUTCOMES, self.on_records, fetch_wait_ms=fetch_wait_ms)

    @property
    def partition(self) -> int:
        """The partition of `run.outcomes` on which this process waits. Known once it is ready."""
        assert self._partition is not None, "ready() comes first"
        return self._partition

    async def ready(self) -> None:
        """Return once every outcome from now on will be seen. Call it after the broker's start."""
        (self._partition,) = partitions_of(self._subscriber)
        await wait_for_positions(self._subscriber)

    async def ask(self, command: Command, wait: float) -> Answer | None:
        """Send `command` and return its outcome, or None after `wait` seconds: the command is carried out later.

        Raises BrokerUnavailable when Kafka does not take the command within `wait`.
        """
        command = command.changed({"reply_to": self.partition})
        sending = Outgoing(COMMANDS.name, key_of(command.run_id), command.model_dump_json().encode())
        outcome: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        request = (command.command_id.bytes, (command.request_sha256 or "").encode())
        askers = self._waiting.setdefault(request, [])
        askers.append(outcome)
        sent = False
        try:
            async with asyncio.timeout(wait):
                await self._producer.send(sending)
                sent = True
                return await outcome
        except (TimeoutError, KafkaError) as error:
            if sent:
                return None
            raise BrokerUnavailable(str(error) or "Kafka does not answer") from error
        finally:
            askers.remove(outcome)
            if not askers:
                self._waiting.pop(request, None)

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Hand outcomes to their askers; those of other processes on this partition are skipped unread."""
        for record in records:
            headers = dict(record.headers)
            askers = self._waiting.get((headers.get("command_id", b""), headers.get("request_sha256", b"")))
            if not askers:
                continue
            try:
                outcome = read_answer(record.value or b"", headers)
            except ValueError as error:
                _log.error("an outcome could not be read: %s", error)
                continue
            for asker in askers:
                if not asker.done():
                    asker.set_result(outcome)
