"""Batches of commands in, decisions out: one transaction a batch, nothing lost, nothing twice.

The ledger's position says what has been decided; Kafka's offset only how far publishing is confirmed. Commands below the
position decide nothing: what they made known is published again. Nothing on this path waits for Kafka's acknowledgement.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import chain
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram

from chassis.failpoints import Reached, nothing
from contracts.runs.commands import AnyCommand, StartRun
from contracts.topics import COMMANDS
from messaging.offset_committer import OffsetCommitter, SentBatch
from messaging.records import Outgoing, RawRecord
from orchestrator.intake.command_batch import Decisions, Taken, accepted_before, dead, outcome_records, read, recall
from orchestrator.intake.run_cache import Kept, Runs
from orchestrator.ports import Batch, Fenced, Known, Ledger, LedgerAway, Move, Publisher, Recorded
from orchestrator.runs import Run, fold

AGAIN_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses between tries while the ledger is away; the last one repeats."""

_COMMANDS = Counter("sayso_commands_total", "Commands taken in", ["kind"])
_BATCH = Histogram("sayso_batch_commands", "Commands a batch", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500))
_EVENTS = Counter("sayso_events_total", "Events recorded", ["kind"])
_commands, _events = cache(_COMMANDS.labels), cache(_EVENTS.labels)  # finding one costs more than counting
_REPLAYED = Counter("sayso_commands_replayed_total", "Commands below the ledger's position, published again")

_log = structlog.get_logger(__name__)


class Intake:
    """Owns the runs of its partitions: folds them, decides on them in order, and hands on what follows."""

    def __init__(
        self,
        ledger: Ledger,
        producer: Publisher,
        confirming: OffsetCommitter,
        now: Callable[[], datetime],
        reached: Reached = nothing,
    ) -> None:
        self._ledger = ledger
        self._producer = producer
        self._confirming = confirming
        self._now = now
        self._reached = reached
        self._runs = Runs()
        self._positions: dict[int, int] = {}
        self._moved = False
        self._busy = asyncio.Lock()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take in one batch. Holds it while the ledger is away; a batch that somebody else decided is published again."""
        batch = [read(record) for record in records]
        async with self._busy:
            if self._moved:
                self._forget()
            outgoing = await self._persist(batch)
            self._reached("intake.decided")
            sends = await self._producer.send_all(outgoing)
            self._reached("intake.handed-over")
            await self._confirming.add(SentBatch(_next_offsets(batch), sends))

    async def leave(self) -> None:
        """Stop relying on what is known of runs: partitions go to another owner. Waits for the batch at hand to arrive."""
        self._moved = True
        async with self._busy:
            await self._confirming.settle()

    def _forget(self) -> None:
        self._runs.clear()
        self._positions.clear()
        self._moved = False

    async def _persist(self, batch: Sequence[Taken]) -> list[Outgoing]:
        away = 0
        while True:
            try:
                outgoing = await self._decide(batch)
            except Fenced as error:
                # Whoever moved the position has decided these commands: they are below it now, and published again.
                _log.warning("another owner has moved on", reason=str(error))
            except LedgerAway as error:
                if away % 20 == 0:
                    _log.warning("the ledger is away, holding the batch", commands=len(batch), reason=str(error))
                await asyncio.sleep(AGAIN_SECONDS[min(away, len(AGAIN_SECONDS) - 1)])
                away += 1
            else:
                if away:
                    _log.info("the ledger is back")
                return outgoing
            # Nothing in memory is certain any more: after a lost connection even whether the batch was written is not.
            self._forget()

    async def _decide(self, batch: Sequence[Taken]) -> list[Outgoing]:
        missing = {taken.record.partition for taken in batch} - self._positions.keys()
        if missing:
            self._positions |= await self._ledger.positions(missing)
        again = [taken for taken in batch if taken.record.offset < self._positions[taken.record.partition]]
        fresh = [taken for taken in batch if taken.record.offset >= self._positions[taken.record.partition]]
        outgoing = await self._recall(again) if again else []
        if fresh:
            outgoing += await self._take(fresh)
        return outgoing

    async def _take(self, fresh: Sequence[Taken]) -> list[Outgoing]:
        self._look_for_gaps(fresh)
        first = {taken.command.run_id: taken.command for taken in reversed(fresh) if taken.command is not None}
        kept = self._runs.kept(first)
        missing = first.keys() - kept.keys()
        # What a start comes first for the ledger knows nothing of, and says so if it does.
        begun = {run_id for run_id in missing if isinstance(first[run_id], StartRun)}
        try:
            return await self._settle(fresh, kept, missing, begun)
        except Fenced:
            if not begun:
                raise
        # A start that came before, most likely, and its run is not kept any more. The ledger knows.
        return await self._settle(fresh, kept, missing, set())

    async def _settle(
        self, fresh: Sequence[Taken], kept: Mapping[UUID, Kept], missing: set[UUID], begun: set[UUID]
    ) -> list[Outgoing]:
        unknown = missing - begun
        known = await self._ledger.load(unknown) if unknown else Known()
        runs = {run_id: run for run_id, history in known.histories.items() if (run := _fold(history)) is not None}
        refused = dict(known.refusals)
        for run_id, (run, refusals, _) in kept.items():
            runs[run_id] = run
            refused |= refusals
        decisions = Decisions(runs, refused, self._now())
        for taken in fresh:
            decisions.take(taken)
        moves = [Move(p, self._positions[p], after) for p, after in _next_offsets(fresh).items()]
        self._reached("intake.appending")
        await self._ledger.transact(Batch(moves, decisions.events, decisions.refusals, decisions.deadlines(), begun))
        self._reached("intake.appended")
        self._positions |= {move.partition: move.after for move in moves}
        self._runs.remember(
            decisions.runs,
            chain(*known.histories.values(), decisions.events),
            chain(known.refusals.values(), decisions.refusals),
        )
        _observe(fresh, decisions)
        return decisions.outgoing + await self._answer_again(decisions.asked_again) + decisions.orders()

    def _look_for_gaps(self, fresh: Sequence[Taken]) -> None:
        first = {taken.record.partition: taken.record.offset for taken in reversed(fresh)}
        for partition, offset in first.items():
            if 0 < self._positions[partition] < offset:
                _log.error(
                    "commands were deleted before they were decided",
                    topic=COMMANDS.name,
                    partition=partition,
                    first=self._positions[partition],
                    last=offset - 1,
                )

    async def _recall(self, again: Sequence[Taken]) -> list[Outgoing]:
        _REPLAYED.inc(len(again))
        commands = [taken.command for taken in again if taken.command is not None]
        known = await self._ledger.load({command.run_id for command in commands})
        outgoing = [dead(taken) for taken in again if taken.command is None]
        for command in commands:
            history = known.histories.get(command.run_id, ())
            outgoing += recall(command, history, known.refusals.get(command.command_id))
        return outgoing

    async def _answer_again(self, commands: Sequence[AnyCommand]) -> list[Outgoing]:
        if not commands:
            return []
        known = await self._ledger.load({command.run_id for command in commands})
        outgoing: list[Outgoing] = []
        for command in commands:
            history = known.histories.get(command.run_id, ())
            run = _fold(history)
            if run is not None:
                outgoing += outcome_records(command, accepted_before(command, history, run))
        return outgoing


def _fold(history: Sequence[Recorded]) -> Run | None:
    return fold(recorded.event for recorded in history)


def _next_offsets(batch: Iterable[Taken]) -> dict[int, int]:
    return {taken.record.partition: taken.record.offset + 1 for taken in batch}


def _observe(fresh: Sequence[Taken], decisions: Decisions) -> None:
    _BATCH.observe(len(fresh))
    for kind, count in Tally([taken.command.kind if taken.command else "malformed" for taken in fresh]).items():
        _commands(kind).inc(count)
    for kind, count in Tally([recorded.event.kind for recorded in decisions.events]).items():
        _events(kind).inc(count)
