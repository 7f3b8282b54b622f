"""The orchestrator at work: connects, takes its partitions, and lets go of them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from chassis.background import Background, briefly
from chassis.postgres.migrations import MigrationError
from chassis.retry import patiently
from messaging.errors import BrokerUnavailable, KafkaError
from orchestrator.aggregate import Aggregate
from orchestrator.intake.consumer import LEAVE_SECONDS, CommandConsumer
from orchestrator.intake.slots import agree_on_slots
from orchestrator.jobs.deadline_scheduler import DeadlineScheduler
from orchestrator.jobs.retention import run_retention
from orchestrator.ports import Adapters, LedgerUnavailable, Store, WrongLog

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
        """Connect, publish again if the log is new, then take commands in until `stop`. A wrong log or schema ends the process."""
        log, open_store, failpoints, look_up = self._adapters
        background, hosted = self._background, self._aggregates
        parents = {of.commands.name for of in hosted}
        try:
            log_id = await patiently("Kafka", log.connect, KafkaError, BrokerUnavailable)
            jobs, *stores = self._stores = [open_store(log_id, aggregate) for aggregate in (hosted[0], *hosted)]
            await patiently("PostgreSQL", jobs.migrate, LedgerUnavailable)
            await agree_on_slots(hosted, log, jobs)
            for aggregate, store in zip(hosted, stores, strict=True):
                consumer = CommandConsumer(aggregate, store, log, background, failpoints, parents, look_up)
                await consumer.prepare()
                self._consumers.append(consumer)
            await patiently("Kafka", log.start, KafkaError)
            for consumer in self._consumers:
                await consumer.begin()
        except (WrongLog, MigrationError) as error:
            background.fail(error)
            return
        background.start(DeadlineScheduler(jobs, log, hosted).run(), "deadlines")
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
        await self._adapters.log.check()
        if not self._consumers:
            raise ConnectionError("starting")
        for consumer in self._consumers:
            await consumer.check()

    async def check_ledger(self) -> None:
        """Raise unless the ledger takes writes, and those of the intake among them."""
        if not self._stores:
            raise ConnectionError("starting")
        await self._stores[0].check()
        await asyncio.gather(*(consumer.check_ledger() for consumer in self._consumers))
