"""Batches of commands in, decisions out: one transaction a batch, nothing lost, nothing twice.

The ledger's position says what has been decided; Kafka's offset only how far publishing is confirmed. Commands below the
position decide nothing: what they published is published again. Nothing on this path waits for Kafka's acknowledgement.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Generic
from uuid import UUID

import structlog

from chassis.failpoints import Reached, nothing
from chassis.obstacle import Obstacle
from messaging.offset_committer import OffsetCommitter, SentBatch
from messaging.records import Outgoing, RawRecord, next_offsets
from orchestrator.aggregate import Aggregate, C, Facts, S
from orchestrator.intake import metrics
from orchestrator.intake.command_batch import CommandBatch
from orchestrator.intake.records import ParsedRecord, dead, parse
from orchestrator.intake.replay import answer_again, replay
from orchestrator.intake.state_cache import CachedState, StateCache
from orchestrator.ports import (
    Batch,
    Fenced,
    Ledger,
    LedgerUnavailable,
    LoadedStreams,
    LookUp,
    Move,
    Publisher,
    know_nothing,
)

MOST_FENCED = 30
"""Tries of one batch that another owner fences before the process ends: then the ledger and this process do not agree."""

RETRY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses between tries while the ledger is unavailable; the last one repeats."""

_log = structlog.get_logger(__name__)


class Intake(Generic[C, S]):
    """Owns the streams of one aggregate on its partitions: folds them, decides on them in order, and publishes what follows."""

    def __init__(
        self,
        aggregate: Aggregate[C, S],
        ledger: Ledger,
        producer: Publisher,
        committer: OffsetCommitter,
        now: Callable[[], datetime],
        reached: Reached = nothing,
        parents: Collection[str] = (),
        look_up: LookUp = know_nothing,
    ) -> None:
        self._look_up = look_up
        self._aggregate = aggregate
        self._ledger = ledger
        self._producer = producer
        self._committer = committer
        self._now = now
        self._reached = reached
        self._parents = parents
        self._cache: StateCache[S] = StateCache()
        self._positions: dict[int, int] = {}
        self._revoked = False
        self._busy = asyncio.Lock()
        self.obstacle = Obstacle()

    async def on_records(self, records: Sequence[RawRecord]) -> None:
        """Take in one batch. Holds it while the ledger is unavailable; a batch that another owner decided is published again."""
        batch = [parse(self._aggregate, record, self._parents) for record in records]
        async with self._busy:
            if self._revoked:
                self._clear()
            outgoing = await self._persist(batch)
            self._reached("intake.decided")
            sends = await self._producer.send_all(outgoing)
            self._reached("intake.handed-over")
            await self._committer.add(SentBatch(next_offsets(records), sends))

    async def leave(self) -> None:
        """Drop the caches: partitions go to another owner. Waits for the batch at hand to arrive."""
        self._revoked = True
        async with self._busy:
            await self._committer.settle()

    def _clear(self) -> None:
        self._cache.clear()
        self._positions.clear()
        self._revoked = False

    async def _persist(self, batch: Sequence[ParsedRecord[C]]) -> list[Outgoing]:
        tries, fenced = 0, 0
        while True:
            try:
                outgoing = await self._decide_or_replay(batch)
            except Fenced as error:
                # The owner that moved the position has decided these commands: they are below it now, and published again.
                _log.warning("another owner has moved on", reason=str(error))
                fenced += 1
                if fenced == MOST_FENCED:
                    raise
                await asyncio.sleep(RETRY_SECONDS[min(fenced, len(RETRY_SECONDS)) - 1] if fenced > 1 else 0)
            except LedgerUnavailable as error:
                self.obstacle.reason = f"commands are held: {error}"
                if tries % 20 == 0:
                    _log.warning("the ledger is unavailable, holding the batch", commands=len(batch), reason=str(error))
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1
            else:
                self.obstacle.reason = None
                if tries:
                    _log.info("the ledger is back")
                return outgoing
            # Nothing in memory is certain any more: after a lost connection even whether the batch was written is not.
            self._clear()

    async def _decide_or_replay(self, batch: Sequence[ParsedRecord[C]]) -> list[Outgoing]:
        missing = {parsed.record.partition for parsed in batch} - self._positions.keys()
        if missing:
            self._positions |= await self._ledger.positions(missing)
        decided = [parsed for parsed in batch if parsed.record.offset < self._positions[parsed.record.partition]]
        fresh = [parsed for parsed in batch if parsed.record.offset >= self._positions[parsed.record.partition]]
        outgoing = await self._replay(decided) if decided else []
        if fresh:
            outgoing += await self._decide(fresh)
        return outgoing

    async def _decide(self, fresh: Sequence[ParsedRecord[C]]) -> list[Outgoing]:
        self._look_for_gaps(fresh)
        stream_of, begins = self._aggregate.stream_of, self._aggregate.begins
        first = {stream_of(parsed.command): parsed.command for parsed in reversed(fresh) if parsed.command is not None}
        cached = self._cache.find(first)
        missing = first.keys() - cached.keys()
        # A stream whose first command here begins it is assumed new and not loaded. The insert fails (Fenced) if it exists.
        begun = {stream_id for stream_id in missing if begins(first[stream_id])}
        try:
            return await self._commit(fresh, cached, missing, begun)
        except Fenced:
            if not begun:
                raise
        # Most likely a start that was delivered before, whose stream is not cached any more. The ledger knows.
        return await self._commit(fresh, cached, missing, set())

    async def _commit(
        self,
        fresh: Sequence[ParsedRecord[C]],
        cached: Mapping[UUID, CachedState[S]],
        missing: set[UUID],
        begun: set[UUID],
    ) -> list[Outgoing]:
        unknown = missing - begun
        loaded = await self._ledger.load(unknown) if unknown else LoadedStreams()
        states, refused = self._fold(loaded), dict(loaded.refusals)
        for stream_id, (state, refusals, _) in cached.items():
            states[stream_id] = state
            refused |= refusals
        facts = await self._facts(fresh, states)
        batch = CommandBatch(self._aggregate, states, refused, self._now(), facts)
        for parsed in fresh:
            batch.add(parsed)
        moves = [
            Move(p, self._positions[p], after) for p, after in next_offsets(parsed.record for parsed in fresh).items()
        ]
        self._reached("intake.appending")
        await self._ledger.transact(Batch(moves, batch.events, batch.refusals, batch.deadlines(), begun))
        self._reached("intake.appended")
        self._positions |= {move.partition: move.after for move in moves}
        self._cache.put(
            batch.states,
            chain(*loaded.histories.values(), batch.events),
            chain(loaded.refusals.values(), batch.refusals),
        )
        metrics.observe(fresh, batch.events)
        return batch.outgoing + await self._answer_again(batch.repeated) + batch.follow()

    async def _facts(self, fresh: Sequence[ParsedRecord[C]], states: Mapping[UUID, S]) -> Facts:
        stream_of, inquire = self._aggregate.stream_of, self._aggregate.inquire
        asked = {
            about
            for parsed in fresh
            if parsed.command is not None
            for about in inquire(parsed.command, states.get(stream_of(parsed.command)))
        }
        return await self._look_up(asked) if asked else {}

    def _fold(self, loaded: LoadedStreams) -> dict[UUID, S]:
        states = {}
        for stream_id, history in loaded.histories.items():
            if (state := self._aggregate.fold(stored.event for stored in history)) is not None:
                states[stream_id] = state
        return states

    def _look_for_gaps(self, fresh: Sequence[ParsedRecord[C]]) -> None:
        first = {parsed.record.partition: parsed.record.offset for parsed in reversed(fresh)}
        for partition, offset in first.items():
            if 0 < self._positions[partition] < offset:
                _log.error(
                    "commands were deleted before they were decided",
                    topic=self._aggregate.commands.name,
                    partition=partition,
                    first=self._positions[partition],
                    last=offset - 1,
                )

    async def _replay(self, decided: Sequence[ParsedRecord[C]]) -> list[Outgoing]:
        metrics.REPLAYED.inc(len(decided))
        aggregate = self._aggregate
        commands = [parsed.command for parsed in decided if parsed.command is not None]
        loaded = await self._ledger.load({aggregate.stream_of(command) for command in commands})
        outgoing = [dead(parsed) for parsed in decided if parsed.command is None]
        for command in commands:
            history = loaded.histories.get(aggregate.stream_of(command), ())
            outgoing += replay(aggregate, command, history, loaded.refusals.get(command.command_id))
        return outgoing

    async def _answer_again(self, commands: Sequence[C]) -> list[Outgoing]:
        if not commands:
            return []
        aggregate = self._aggregate
        loaded = await self._ledger.load({aggregate.stream_of(command) for command in commands})
        return [
            record
            for command in commands
            for record in answer_again(aggregate, command, loaded.histories.get(aggregate.stream_of(command), ()))
        ]
