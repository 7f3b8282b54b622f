"""A call's way to its begin: it waits for its slot, is found to be still wanted, passes the circuit, and tells how it went."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

from contracts.providers.orders import ExecuteOrder
from contracts.runs.commands import FromWorker, RecordExecution
from provider_worker import metrics
from provider_worker.providers.base import AIProvider, ProviderError
from provider_worker.rate_limits.account_queue import AccountQueue, NotAdmitted, Slot
from provider_worker.rate_limits.circuit_breaker import Sign
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.rate_limits.reservations import Reservations, Rule

IsOurs = Callable[[], Awaitable[bool]]
"""Claims the call and says whether it may begin; asked as late as can be, and again when that took too long."""


class Turn:
    """A call that may begin now, and what came of it: None until it is answered."""

    answer: FromWorker | None = None


class Admission:
    """The queues of the accounts that have limits, and the circuits of all providers. `waiting` calls have not begun.

    `on_broken` is told of bugs; `holder` names this process among all that ever ran.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        reservations: Reservations | None,
        circuits: CircuitBreakers,
        holder: str = "",
        on_broken: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        assert reservations is not None or not rules, "limits are shared somewhere"
        self.waiting = 0
        self.circuits = circuits
        self._room: Callable[[], int] = lambda: 0
        self._on_change: Callable[[], None] = lambda: None
        self._gates = {
            name: AccountQueue(rule, reservations, holder, self._room_left, on_broken)
            for name, rule in rules.items()
            if reservations is not None
        }
        circuits.on_open = self._on_open

    def serve(self, room: Callable[[], int], on_change: Callable[[], None]) -> None:
        """Learn from a worker how many more calls may run; tell it when fewer or more wait."""
        self._room, self._on_change = room, on_change

    def are_for(self, provider: AIProvider | None) -> bool:
        """Say whether calls of a provider wait for slots."""
        return provider is not None and provider.name in self._gates

    def stop(self) -> None:
        """End all waiting: what waits raises Leaving."""
        for gate in self._gates.values():
            gate.stop()

    async def leave(self) -> None:
        """Give back all places of calls that do not run any more."""
        await asyncio.gather(*(gate.leave() for gate in self._gates.values()))

    @contextlib.asynccontextmanager
    async def of(self, order: ExecuteOrder, provider: AIProvider, is_ours: IsOurs) -> AsyncIterator[Turn]:
        """Wait for a call's turn; what happens within is the call.

        Raises NotBegun, and ProviderError `circuit_open`, while nothing was called. A provider without limits asks for no `is_ours`:
        whoever takes its order claims it before.
        """
        gate = self._gates.get(provider.name)
        if gate is None:
            with self._watching(provider.name) as turn:
                yield turn
            return
        tokens = provider.estimate_tokens(order.operation, order.payload) if gate.rule.tokens else None
        slot = await self._wait(gate, tokens or 0, provider.name, is_ours)
        try:
            with self._watching(provider.name) as turn:
                yield turn
        except ProviderError as error:
            if error.failure.retry_after and error.failure.code != "circuit_open":  # which no provider said
                await gate.close(error.failure.retry_after)
            raise
        finally:
            gate.release()
        if tokens is not None and (used := tokens_of(turn.answer)) is not None:
            await gate.settle(slot, used)

    @contextlib.contextmanager
    def _watching(self, name: str) -> Iterator[Turn]:
        turn = Turn()
        with self.circuits.watching(name) as watched:
            yield turn
            if not isinstance(turn.answer, RecordExecution):
                watched.sign = Sign.NOTHING

    async def _wait(self, gate: AccountQueue, tokens: int, name: str, is_ours: IsOurs) -> Slot:
        began, tries = time.monotonic(), 0
        self._count_waiting(1)
        try:
            while True:
                slot = await self._slot(gate, tokens, name, is_ours, again=tries > 0)
                if slot is not None:
                    return slot
                tries += 1
        finally:
            self._count_waiting(-1)
            metrics.WAITED.labels(name).observe(time.monotonic() - began)

    async def _slot(self, gate: AccountQueue, tokens: int, name: str, is_ours: IsOurs, *, again: bool) -> Slot | None:
        if (refusal := self.circuits.refusal(name)) is not None:
            # Only who owns a call may say how it ended: another worker may be at it.
            if not await is_ours():
                raise NotAdmitted
            raise ProviderError(refusal)
        slot = await gate.slot(tokens, again=again)
        if slot is None:
            return None
        kept = False
        try:
            await gate.until_begins(slot)
            if not gate.is_over(slot):
                if not await is_ours():
                    raise NotAdmitted
                kept = not gate.is_over(slot)  # the claim may have waited for the database
        finally:
            if not kept:
                gate.release()
        return slot if kept else None

    def _room_left(self) -> int:
        return self._room()

    def _count_waiting(self, more: int) -> None:
        self.waiting += more
        self._on_change()

    def _on_open(self, name: str) -> None:
        if (gate := self._gates.get(name)) is not None:
            gate.flush()


def tokens_of(answer: FromWorker | None) -> int | None:
    """Return the tokens that an answer's usage speaks of, whichever way it counts them."""
    if not isinstance(answer, RecordExecution):
        return None
    usage = answer.execution.usage
    if (total := _count(usage, "total_tokens")) is not None:
        return total
    given = _count(usage, "input_tokens", "prompt_tokens")
    made = _count(usage, "output_tokens", "completion_tokens")
    return None if given is None or made is None else given + made + (_count(usage, "cache_creation_input_tokens") or 0)


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    found = (usage.get(name) for name in names)
    return next((value for value in found if type(value) is int and value >= 0), None)
