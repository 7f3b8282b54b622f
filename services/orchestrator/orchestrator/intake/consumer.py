"""The consumer of one aggregate's commands: reads them for the intake, and commits offsets behind what has been published."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Generic

from chassis.background import Background, briefly
from chassis.failpoints import Failpoints
from chassis.retry import patiently
from messaging.errors import KafkaError
from messaging.offset_committer import OffsetCommitter
from messaging.records import RawRecord
from orchestrator.aggregate import Aggregate, C, S
from orchestrator.intake.intake import Intake
from orchestrator.intake.republish import republish_events, republish_following
from orchestrator.ports import LedgerUnavailable, Log, LookUp, Store, WrongLog, know_nothing

LEAVE_SECONDS = 2.0
"""How long the batch at hand may take to arrive before it is left as it is: nothing is lost by it."""


class CommandConsumer(Generic[C, S]):
    """One orchestrator's share of one aggregate's commands, from the first record to the last commit."""

    def __init__(
        self,
        aggregate: Aggregate[C, S],
        store: Store,
        log: Log,
        background: Background,
        failpoints: Failpoints,
        parents: Collection[str] = (),
        look_up: LookUp = know_nothing,
    ) -> None:
        self._aggregate = aggregate
        self._store = store
        self._log = log
        self._background = background
        self._failpoints = failpoints
        self._committer = OffsetCommitter(self._commit)
        self._intake = Intake(
            aggregate, store, log, self._committer, failpoints.now, failpoints.reached, parents, look_up
        )
        self._checked = asyncio.Event()
        self._leaving = False
        self._subscription = log.subscribe(aggregate.commands, self._on_records, self._on_revoked)

    async def prepare(self) -> None:
        """Publish again what open streams await of a new log; waits for Kafka and PostgreSQL without end. Then offsets can be committed."""
        await _connected(self._republish_if_new)
        self._background.start(self._committer.track(), f"{self._aggregate.name}-acknowledgements")
        self._background.start(self._committer.commit_periodically(), f"{self._aggregate.name}-offsets")

    async def begin(self) -> None:
        """Take records in, if the log is the one that the ledger knows; waits for both without end. Raises WrongLog."""
        await _connected(self._check_log)
        self._checked.set()
        self._background.start(_connected(self._republish_events), f"{self._aggregate.name}-republishing")

    async def _republish_if_new(self) -> None:
        if await self._store.is_new_log():
            await republish_following(self._aggregate, self._store, self._log)

    async def _republish_events(self) -> None:
        await republish_events(self._aggregate, self._store, self._log)

    async def _check_log(self) -> None:
        topic = self._aggregate.commands
        partitions = await self._log.partitions(topic)
        # Positions first: another owner moves them on meanwhile, and the log is always ahead of what was decided from it.
        positions = await self._store.positions(partitions)
        ends = await self._subscription.ends(partitions)
        for partition, position in positions.items():
            if position > ends[partition]:
                raise WrongLog(
                    f"the ledger has decided {topic.name}[{partition}] up to {position}, but the log ends at "
                    f"{ends[partition]}: it was emptied or replaced; give it another SAYSO_LOG_ID"
                )

    async def check(self) -> None:
        """Raise unless this process reads the aggregate's commands."""
        if not self._checked.is_set():
            raise ConnectionError("not taking commands yet")
        await self._subscription.ends([0])

    async def check_ledger(self) -> None:
        """Raise while commands are held because the ledger does not take them."""
        await self._intake.obstacle.check()

    async def leave(self) -> None:
        """Take nothing more in, and wait for what is on its way, for a while."""
        self._leaving = True
        self._checked.set()
        await self._on_revoked(set())

    async def _on_records(self, records: Sequence[RawRecord]) -> None:
        await self._checked.wait()  # in a log that is not ours, nothing may count as decided
        if self._leaving:
            return
        try:
            await self._intake.on_records(records)
        except asyncio.CancelledError:
            # Its commands are not committed: the next owner publishes them again. FastStream would log an error.
            if not self._leaving:
                raise

    async def _on_revoked(self, _: set[int]) -> None:
        await briefly(self._intake.leave(), LEAVE_SECONDS)

    async def _commit(self, offsets: Mapping[int, int]) -> None:
        self._failpoints.reached("intake.acknowledged")
        await self._subscription.commit(offsets)
        self._failpoints.reached("intake.committed")


async def _connected(work: Callable[[], Awaitable[None]]) -> None:
    await patiently("Kafka and PostgreSQL", work, LedgerUnavailable, KafkaError)
