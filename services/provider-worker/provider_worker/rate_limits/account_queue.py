"""One account's queue in this worker: reserves slots for all waiting calls, and hands them out in order."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from provider_worker.errors import DatabaseUnavailable, WorkerStopping
from provider_worker.rate_limits.gcra import LATEST, LEASE_SECONDS, SOON
from provider_worker.rate_limits.reservations import Reservations, ReservedSlots, Rule

AT_ONCE = 64
"""Calls that are asked for in one statement."""

_LONGEST_PAUSE = 5.0
_LONGEST_SILENCE = LEASE_SECONDS / 3
_LEAVE_SECONDS = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Slot:
    """A call's earliest and latest begin, by this process's monotonic clock, and the second in which its tokens are counted."""

    begins: float
    lapses: float
    second: int
    tokens: int


_Waiter = asyncio.Future[Slot | None]


class AccountQueue:
    """The waiting calls of one account. `room` returns how many more may run; `on_failure` gets bugs."""

    def __init__(
        self,
        rule: Rule,
        reservations: Reservations,
        holder: str,
        room: Callable[[], int],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.rule = rule
        self._reservations = reservations
        self._holder = holder
        self._room = room
        self._on_failure = on_failure
        self._queue: deque[tuple[int, _Waiter]] = deque()
        self._held = 0
        self._reported = 0
        self._closed_until = 0.0
        self._stopped = False
        self._woken = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None

    async def slot(self, tokens: int, *, again: bool = False) -> Slot | None:
        """Return a slot for a call of so many tokens; None when the queue was flushed. `again` puts it first.

        The slot must be released. Raises WorkerStopping.
        """
        if self._stopped:
            raise WorkerStopping
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        (self._queue.appendleft if again else self._queue.append)((tokens, waiter))
        self._serve()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None and waiter.result() is not None:
                self.release()
            raise

    def release(self) -> None:
        """Give a slot's place back."""
        self._held -= 1
        self._serve()

    async def until_begins(self, slot: Slot) -> None:
        """Return at a slot's moment. Raises WorkerStopping."""
        await asyncio.sleep(max(0.0, slot.begins - time.monotonic()))
        if self._stopped:
            raise WorkerStopping

    def is_over(self, slot: Slot) -> bool:
        """Return whether a slot has lapsed."""
        return time.monotonic() > slot.lapses or slot.begins < self._closed_until

    async def close(self, seconds: float) -> None:
        """Reserve no slot for so long in any worker. A slot that another worker already has begins within AHEAD seconds."""
        self._closed_until = max(self._closed_until, time.monotonic() + seconds)
        with contextlib.suppress(DatabaseUnavailable):
            await self._reservations.close(self.rule, seconds)

    async def settle(self, slot: Slot, tokens: int) -> None:
        """Correct a call's tokens by its usage. While the database is unavailable, the estimate stands."""
        if self.rule.tokens is not None and tokens != slot.tokens:
            with contextlib.suppress(DatabaseUnavailable):
                await self._reservations.settle(self.rule, slot.second, tokens - slot.tokens)

    def flush(self) -> None:
        """Wake all waiting calls without a slot."""
        while self._queue:
            _, waiter = self._queue.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def stop(self) -> None:
        """End all waiting."""
        self._stopped = True
        while self._queue:
            _, waiter = self._queue.popleft()
            if not waiter.done():
                waiter.set_exception(WorkerStopping())

    async def leave(self) -> None:
        """Give back the places of this worker's ended calls, once. If that fails, the lease frees them."""
        self.stop()
        if self._serving is None or self._serving.done():
            return
        self._serving.cancel()
        with contextlib.suppress(DatabaseUnavailable, TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await asyncio.gather(self._serving, return_exceptions=True)
                if self.rule.places is not None:
                    await self._reservations.reserve(self.rule, self._holder, self._held, [])

    def _is_needed(self) -> bool:
        # A worker that holds places renews them again and again, and once more when it holds none.
        return bool(self._queue) or (self.rule.places is not None and bool(self._held or self._reported))

    def _serve(self) -> None:
        if self._serving is None or self._serving.done():
            if self._is_needed() and not self._stopped:
                self._serving = asyncio.create_task(self._ask_while_needed(), name=f"gate {self.rule.name}")
                self._serving.add_done_callback(self._ended)
        elif len(self._queue) == 1 or (self.rule.places is not None and self._held < self._reported):
            self._woken.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(error)

    async def _ask_while_needed(self) -> None:
        pause = SOON
        while self._is_needed():
            self._woken.clear()
            try:
                wait = await self._ask()
                pause = SOON
            except DatabaseUnavailable as error:
                _log.warning("waiting for the database", reason=str(error), calls=len(self._queue))
                wait = pause
                pause = min(2 * pause, _LONGEST_PAUSE)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._woken.wait()

    async def _ask(self) -> float:
        """Reserve once, hand out the slots, and return the seconds to wait before the next time."""
        # A cancelled call needs no slot; the next one in the queue does.
        self._queue = deque(waiting for waiting in self._queue if not waiting[1].done())
        asked = list(self._queue)[: max(0, min(AT_ONCE, self._room()))]
        held, sent = self._held, time.monotonic()
        reserved = await self._reservations.reserve(self.rule, self._holder, held, [tokens for tokens, _ in asked])
        self._reported = held + len(reserved.begins_in)
        self._hand_out(reserved, asked, sent)
        if len(reserved.begins_in) < len(asked):
            # Workers that got the same moment would ask at once.
            wait = reserved.again_in + random.uniform(0, SOON)  # noqa: S311 - guards nothing
            return wait if self.rule.places is None else min(wait, _LONGEST_SILENCE)
        if not self._queue:
            return _LONGEST_SILENCE
        return 0.0 if self._room() > 0 else SOON

    def _hand_out(self, reserved: ReservedSlots, asked: Sequence[tuple[int, _Waiter]], sent: float) -> None:
        received = time.monotonic()
        for (tokens, waiter), begins_in, second in zip(asked, reserved.begins_in, reserved.seconds, strict=False):
            if not waiter.done():  # else its slot is lost: its call was cancelled
                self._held += 1
                waiter.set_result(Slot(received + begins_in, sent + begins_in + LATEST, second, tokens))
        self._queue = deque(waiting for waiting in self._queue if not waiting[1].done())
