"""Admits provider calls: waits for a rate-limit slot, claims the call, passes the circuit breaker, reports how the call went."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from contracts.providers.orders import ExecuteOrder
from provider_worker import metrics
from provider_worker.errors import CallStopped, NotAdmitted
from provider_worker.providers.base import AIProvider, ProviderError
from provider_worker.rate_limits.account_queue import AccountQueue, Slot
from provider_worker.rate_limits.circuit_breaker import Sign
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.rate_limits.reservations import Reservations, Rule

MOST_WAITING = 2_000
"""Calls that may wait for one account's limits in this worker."""

PAUSE_SECONDS = (5.0, 300.0)
"""The shortest and the longest time until a call is ordered again that found no room to wait."""


class Claim(Protocol):
    """One call's claim, made as late as can be. `take` and `may_begin` are idempotent and raise WorkerStopping."""

    def waits_for(self, what: str | None) -> None:
        """Say what the call waits for, or that it waits no longer."""
        ...

    async def take(self) -> bool:
        """Claim the call; return whether it is ours."""
        ...

    async def may_begin(self) -> bool:
        """Claim the call; return whether it is ours and still wanted."""
        ...


class AdmittedCall:
    """A call that may begin now. `usage` is that of its answer; None until there is an answer."""

    usage: Mapping[str, Any] | None = None


class Admission:
    """The queues of accounts with limits, and the circuit breakers of all providers.

    `on_failure` gets bugs; `holder` names this process among all that ever ran.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule] | None = None,
        reservations: Reservations | None = None,
        circuits: CircuitBreakers | None = None,
        holder: str = "",
        on_failure: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        assert reservations is not None or not rules, "limits are shared through the database"
        self._waiting_since: dict[str, dict[object, float]] = defaultdict(dict)
        self.circuits = circuits or CircuitBreakers()
        self._room: Callable[[], int] = lambda: 0
        self._on_change: Callable[[], None] = lambda: None
        self._queues = {
            name: AccountQueue(rule, reservations, holder, self._room_left, on_failure)
            for name, rule in (rules or {}).items()
            if reservations is not None
        }
        self.circuits.on_open = self._on_open

    def serve(self, room: Callable[[], int], on_change: Callable[[], None]) -> None:
        """Ask `room` how many more calls may run; tell `on_change` when fewer or more wait."""
        self._room, self._on_change = room, on_change

    @property
    def waiting(self) -> int:
        """How many calls wait for a slot."""
        return sum(map(len, self._waiting_since.values()))

    def room_to_wait(self, name: str) -> int:
        """Return how many more calls of a provider may wait here."""
        return max(0, MOST_WAITING - len(self._waiting_since[name]))

    def pause(self, name: str) -> float:
        """Return the seconds after which a call of a provider may find room to wait: half of what the longest waiting one has waited."""
        oldest = next(iter(self._waiting_since[name].values()), time.monotonic())
        shortest, longest = PAUSE_SECONDS
        return min(max((time.monotonic() - oldest) / 2, shortest), longest)

    def limits(self, provider: AIProvider | None) -> bool:
        """Return whether calls of a provider wait for slots."""
        return provider is not None and provider.name in self._queues

    def stop(self) -> None:
        """End all waiting: a waiting call raises WorkerStopping."""
        for queue in self._queues.values():
            queue.stop()

    async def leave(self) -> None:
        """Give back the slots of all calls that do not run any more."""
        await asyncio.gather(*(queue.leave() for queue in self._queues.values()))

    @contextlib.asynccontextmanager
    async def slot(
        self, order: ExecuteOrder, provider: AIProvider, claim: Claim, cancellation: AbstractContextManager[None]
    ) -> AsyncIterator[AdmittedCall]:
        """Wait for a call's slot and hold it while the call runs within.

        Raises NotAdmitted, CallStopped, and ProviderError `circuit_open`, while nothing was called. Calls of a provider without
        limits do not wait, and were claimed when their orders were taken.
        """
        queue = self._queues.get(provider.name)
        tokens = provider.estimate_tokens(order.operation, order.payload) if queue and queue.rule.tokens else None
        try:
            with cancellation:
                slot = await self._wait(queue, tokens or 0, provider.name, claim) if queue else None
        except CallStopped:
            # Another worker may have begun the call, and says how it ended.
            if queue and not await claim.take():
                raise NotAdmitted from None
            raise
        try:
            with self._watch(provider.name) as admitted:
                yield admitted
        except ProviderError as error:
            if queue and error.failure.retry_after and error.failure.code != "circuit_open":  # which no provider said
                await queue.close(error.failure.retry_after)
            raise
        finally:
            if queue:
                queue.release()
        if queue and slot and tokens is not None and (used := tokens_of(admitted.usage)) is not None:
            await queue.settle(slot, used)

    @contextlib.contextmanager
    def _watch(self, name: str) -> Iterator[AdmittedCall]:
        admitted = AdmittedCall()
        with self.circuits.watch(name) as watched:
            yield admitted
            if admitted.usage is None:
                watched.sign = Sign.NOTHING

    async def _wait(self, queue: AccountQueue, tokens: int, name: str, claim: Claim) -> Slot:
        began, tries = time.monotonic(), 0
        waiting = self._waiting_since[name]
        waiting[claim] = began
        self._on_change()
        claim.waits_for("limit")
        try:
            while True:
                slot = await self._next_slot(queue, tokens, name, claim, again=tries > 0)
                if slot is not None:
                    return slot
                tries += 1
        finally:
            del waiting[claim]
            self._on_change()
            claim.waits_for(None)
            metrics.WAITED.labels(name).observe(time.monotonic() - began)

    async def _next_slot(
        self, queue: AccountQueue, tokens: int, name: str, claim: Claim, *, again: bool
    ) -> Slot | None:
        """Return a slot whose moment has come, or None when it lapsed or the queue was flushed."""
        if (refusal := self.circuits.refusal(name)) is not None:
            # Only the call's owner may report its end: another worker may be carrying it out.
            if not await claim.may_begin():
                raise NotAdmitted
            raise ProviderError(refusal)
        slot = await queue.slot(tokens, again=again)
        if slot is None:
            return None
        kept = False
        try:
            await queue.until_begins(slot)
            if not queue.is_over(slot):
                if not await claim.may_begin():
                    raise NotAdmitted
                kept = not queue.is_over(slot)  # the claim may have waited for the database
        finally:
            if not kept:
                queue.release()
        return slot if kept else None

    def _room_left(self) -> int:
        return self._room()

    def _on_open(self, name: str) -> None:
        if (queue := self._queues.get(name)) is not None:
            queue.flush()


def tokens_of(usage: Mapping[str, Any] | None) -> int | None:
    """Return the tokens that an answer's usage counts, under whichever names; None where it counts none."""
    if usage is None:
        return None
    if (total := _count(usage, "total_tokens")) is not None:
        return total
    given = _count(usage, "input_tokens", "prompt_tokens")
    made = _count(usage, "output_tokens", "completion_tokens")
    return None if given is None or made is None else given + made + (_count(usage, "cache_creation_input_tokens") or 0)


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    found = (usage.get(name) for name in names)
    return next((value for value in found if type(value) is int and value >= 0), None)
