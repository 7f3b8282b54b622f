"""Calls at once, over hours: a worker with calls under way is not taken for one that was killed. No test waits: the clock jumps."""

from __future__ import annotations

import asyncio
import selectors

import pytest

from provider_worker.rate_limits.account_queue import AccountQueue
from provider_worker.rate_limits.gcra import AHEAD
from provider_worker.rate_limits.reservations import Rule
from provider_worker.testing.reservations import MemoryReservations

TWO_AT_ONCE = Rule("acme", places=2)


class Jumping(selectors.DefaultSelector):
    """Waits for nothing: time has passed instead."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let so much time pass."""
        assert timeout is not None, "all wait for one another"
        self.passed += max(0.0, timeout)
        return super().select(0)


class Jumps(asyncio.SelectorEventLoop):
    """An event loop on which hours take no time."""

    def __init__(self) -> None:
        self._jumping = Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the time, with all jumps."""
        return super().time() + self._jumping.passed


async def call_while_the_account_is_closed(*, others_wait: bool) -> int:
    """Let one call run through a long Retry-After; return how many run as soon as another worker may begin some."""
    broken: list[BaseException] = []
    loop = asyncio.get_running_loop()
    reservations = MemoryReservations(loop.time)
    gate = AccountQueue(TWO_AT_ONCE, reservations, "ann", lambda: 10, broken.append)
    await gate.slot(0)
    await gate.close(3600)
    waits = asyncio.create_task(gate.slot(0)) if others_wait else None
    account = reservations.accounts["acme"]
    await asyncio.sleep(account.closed_until - AHEAD + 0.001 - loop.time())
    reserved = await reservations.reserve(TWO_AT_ONCE, "bob", 0, [0, 0])
    running = 1 + len(reserved.begins_in) + (waits is not None and waits.done())
    gate.release()
    await gate.leave()
    if waits is not None:
        await asyncio.gather(waits, return_exceptions=True)
    assert broken == []
    return running


@pytest.mark.parametrize("others_wait", [True, False])
def test_places_are_held_through_an_hour_in_which_no_call_may_begin(*, others_wait: bool) -> None:
    """Whether or not the worker was told to ask for slots again in an hour alone."""
    with asyncio.Runner(loop_factory=Jumps) as runner:
        assert runner.run(call_while_the_account_is_closed(others_wait=others_wait)) == 2
