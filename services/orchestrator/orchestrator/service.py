"""The orchestrator at work: connects, takes its partitions, and lets go of them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress

import structlog

from chassis.background import Background
from chassis.failpoints import load_failpoints
from chassis.retry import patiently
from chassis.settings import Settings
from contracts.topics import COMMANDS, EVENTS, OUTCOMES, STOPS, WORK
from messaging.admin import log_identity
from messaging.consumer import commit_offsets, create_broker, end_offsets, fail_fast, subscribe_group
from messaging.errors import KafkaError
from messaging.offset_committer import OffsetCommitter
from messaging.producer import Producer
from messaging.records import RawRecord
from orchestrator.adapters.postgres.ledger import PostgresLedger
from orchestrator.intake.intake import Intake
from orchestrator.intake.republish import republish
from orchestrator.jobs.deadline_scheduler import Clock
from orchestrator.jobs.retention import forget_now_and_then
from orchestrator.ports import LedgerAway

GROUP = "orchestrator"
LEAVE_SECONDS = 2.0
"""How long the batch at hand may take to arrive, and each connection to end, before it is left as it is: nothing is lost by it."""

GIVE_UP_SECONDS = 300.0
"""How long Kafka may be away before the process ends and starts again from the last confirmed offset."""

_log = structlog.get_logger(__name__)


class WrongLog(Exception):
    """The ledger stands beyond the end of the Kafka log: this is not the log that it knows under this name."""


class Running:
    """One orchestrator, from its first connection to its last acknowledgement."""

    def __init__(self, settings: Settings, background: Background) -> None:
        self._settings = settings
        self._background = background
        self._failpoints = load_failpoints()
        bootstrap = settings.kafka_bootstrap_servers
        self._broker = create_broker(bootstrap, "orchestrator", writes=[COMMANDS, EVENTS, OUTCOMES, STOPS, WORK])
        self._producer = Producer(bootstrap, "orchestrator", GIVE_UP_SECONDS)
        self._subscriber = subscribe_group(
            self._broker,
            COMMANDS,
            fail_fast(self._on_records, background),
            group=GROUP,
            fetch_wait_ms=settings.fetch_wait_ms,
            on_revoked=self._on_revoked,
        )
        self._confirming = OffsetCommitter(self._commit)
        self._ledger: PostgresLedger | None = None
        self._intake: Intake | None = None
        self._clock_ledger: PostgresLedger | None = None
        self._checked = asyncio.Event()
        self._leaving = False

    async def run(self) -> None:
        """Connect, publish again if the log is new, then take commands in until `stop`."""
        bootstrap, url = self._settings.kafka_bootstrap_servers, self._settings.database_url.get_secret_value()
        await patiently("Kafka", self._producer.start, KafkaError)
        log_id = self._settings.log_id
        if log_id is None:
            log_id = await patiently("Kafka", lambda: log_identity(bootstrap), KafkaError)
        self._ledger = PostgresLedger(url, log_id)
        self._clock_ledger = PostgresLedger(url, log_id)
        await patiently("PostgreSQL", self._ledger.create_tables, LedgerAway)
        await patiently("PostgreSQL", self._republish, LedgerAway, KafkaError)
        failing = self._failpoints
        self._intake = Intake(self._ledger, self._producer, self._confirming, failing.now, failing.reached)
        self._background.start(self._confirming.track(), "confirming")
        self._background.start(self._confirming.commit_periodically(), "committing")
        await patiently("Kafka", self._broker.start, KafkaError)
        try:
            await self._check_log()
        except WrongLog as error:
            self._background.fail(error)
            return
        self._checked.set()
        self._background.start(Clock(self._clock_ledger, self._producer).run(), "clock")
        self._background.start(forget_now_and_then(self._clock_ledger), "forgetting")
        _log.info("taking commands", log=log_id)

    async def stop(self) -> None:
        """Take nothing more, wait for what is on its way, and disconnect. Takes seconds, whoever does not answer."""
        self._leaving = True
        self._checked.set()
        await self._on_revoked(set())
        await self._background.stop()
        await _briefly(self._broker.stop())
        ledgers = [ledger.close() for ledger in (self._ledger, self._clock_ledger) if ledger is not None]
        await asyncio.gather(_briefly(self._producer.stop()), *ledgers)

    async def check_kafka(self) -> None:
        """Raise unless this process reads its partitions' log."""
        if not self._checked.is_set():
            raise ConnectionError("not taking commands yet")
        await end_offsets(self._subscriber, COMMANDS, [0])

    async def check_ledger(self) -> None:
        """Raise unless the ledger answers."""
        if self._clock_ledger is None:
            raise ConnectionError("starting")
        await self._clock_ledger.check()

    async def _republish(self) -> None:
        assert self._ledger is not None
        if await self._ledger.is_new_log():
            await republish(self._ledger, self._producer)

    async def _check_log(self) -> None:
        partitions = await patiently("Kafka", lambda: self._producer.partitions(COMMANDS.name), KafkaError)
        # Positions first: another owner moves them on meanwhile, and the log is always ahead of what was decided from it.
        positions = await patiently("PostgreSQL", lambda: self._stand(partitions), LedgerAway)
        ends = await patiently("Kafka", lambda: end_offsets(self._subscriber, COMMANDS, partitions), KafkaError)
        for partition, position in positions.items():
            if position > ends[partition]:
                raise WrongLog(
                    f"the ledger has decided {COMMANDS.name}[{partition}] up to {position}, but the log ends at "
                    f"{ends[partition]}: it was emptied or replaced; give it another SAYSO_LOG_ID"
                )

    async def _stand(self, partitions: Iterable[int]) -> dict[int, int]:
        assert self._ledger is not None
        return await self._ledger.positions(partitions)

    async def _on_records(self, records: Sequence[RawRecord]) -> None:
        await self._checked.wait()  # in a log that is not ours, nothing may count as decided
        if self._intake is None or self._leaving:
            return
        try:
            await self._intake.on_records(records)
        except asyncio.CancelledError:
            # Its commands are not confirmed: whoever comes next publishes them. FastStream would log an error.
            if not self._leaving:
                raise

    async def _on_revoked(self, _: set[int]) -> None:
        if self._intake is not None:
            await _briefly(self._intake.leave())

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        self._failpoints.reached("intake.acknowledged")
        await commit_offsets(self._subscriber, COMMANDS, offsets)
        self._failpoints.reached("intake.committed")


async def _briefly(work: Awaitable[None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_SECONDS):
            await work
