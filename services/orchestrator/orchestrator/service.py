"""The orchestrator at work: connects, takes its partitions, and lets go of them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from chassis.background import Background
from chassis.retry import patiently
from messaging.errors import KafkaError
from orchestrator.aggregate import Aggregate
from orchestrator.intake.consumer import LEAVE_SECONDS, CommandConsumer, WrongLog, briefly
from orchestrator.jobs.deadline_scheduler import DeadlineScheduler
from orchestrator.jobs.retention import run_retention
from orchestrator.ports import Adapters, LedgerUnavailable, Store

_log = structlog.get_logger(__name__)


class OrchestratorService:
    """One orchestrator, from its first connection to its last acknowledgement."""

    def __init__(self, adapters: Adapters, aggregates: Sequence[Aggregate[Any, Any]], background: Background) -> None:
        self._adapters = adapters
        self._aggregates = aggregates
        self._background = background
        self._consumers: list[CommandConsumer[Any, Any]] = []
        self._stores: list[Store] = []

    async def run(self) -> None:
        """Connect, publish again if the log is new, then take commands in until `stop`."""
        log, background, failpoints = self._adapters.log, self._background, self._adapters.failpoints
        log_id = await patiently("Kafka", log.connect, KafkaError)
        jobs = self._open(log_id, self._aggregates[0])
        await patiently("PostgreSQL", jobs.migrate, LedgerUnavailable)
        for aggregate in self._aggregates:
            consumer = CommandConsumer(aggregate, self._open(log_id, aggregate), log, background, failpoints)
            await patiently("PostgreSQL", consumer.republish_if_new, LedgerUnavailable, KafkaError)
            consumer.start_committing()
            self._consumers.append(consumer)
        await patiently("Kafka", log.start, KafkaError)
        try:
            for consumer in self._consumers:
                await patiently("Kafka and PostgreSQL", consumer.check_log, LedgerUnavailable, KafkaError)
        except WrongLog as error:
            background.fail(error)
            return
        background.start(DeadlineScheduler(jobs, log, self._aggregates).run(), "deadlines")
        background.start(run_retention(jobs), "retention")
        _log.info("taking commands", log=log_id)

    async def stop(self) -> None:
        """Take nothing more, wait for what is on its way, and disconnect. Takes seconds, even when nothing answers."""
        await asyncio.gather(*(consumer.leave() for consumer in self._consumers))
        await self._background.stop()
        await briefly(self._adapters.log.stop_reading(), LEAVE_SECONDS)
        closing = briefly(self._adapters.log.close(), LEAVE_SECONDS)
        await asyncio.gather(closing, *(store.close() for store in self._stores))

    async def check_kafka(self) -> None:
        """Raise unless this process reads its partitions' log."""
        if not self._consumers:
            raise ConnectionError("starting")
        for consumer in self._consumers:
            await consumer.check()

    async def check_ledger(self) -> None:
        """Raise unless the ledger answers."""
        if not self._stores:
            raise ConnectionError("starting")
        await self._stores[0].check()

    def _open(self, log_id: str, aggregate: Aggregate[Any, Any]) -> Store:
        store = self._adapters.open_store(log_id, aggregate)
        self._stores.append(store)
        return store
