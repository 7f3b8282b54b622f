"""The circuits of a worker's providers: fed by the ends of calls, asked before each call, shown in capabilities and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial

import structlog

from contracts.providers.call import Failure
from provider_worker import metrics
from provider_worker.providers.base import ProviderError
from provider_worker.rate_limits.circuit_breaker import (
    Circuit,
    CircuitTerms,
    Closed,
    Sign,
    State,
    begun,
    ended,
    state_of,
    wait_of,
)

_DOWN = {"connection_failed", "connection_lost", "timeout"}
_SERVER_ERRORS = 500
_STATES: tuple[State, ...] = ("closed", "half_open", "open")

_log = structlog.get_logger(__name__)


class WatchedCall:
    """A running call, and the sign that its end is unless it raises."""

    sign: Sign = Sign.UP


class CircuitBreakers:
    """One circuit a provider. `on_open` gets the name of a provider whose circuit opened."""

    def __init__(self, terms: CircuitTerms | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._terms = terms or CircuitTerms()
        self._now = now
        self._circuits: dict[str, Circuit] = {}
        self._changed = asyncio.Event()
        self.on_open: Callable[[str], None] = lambda _: None

    def state_of(self, name: str) -> State:
        """Return the state of a provider's circuit."""
        return state_of(self._circuits.get(name, Closed()), self._now())

    def refusal(self, name: str) -> Failure | None:
        """Return the failure of a call that may not go through now; None if it may."""
        wait = wait_of(self._circuits.get(name, Closed()), self._terms, self._now())
        if wait is None:
            return None
        message = f"{name} was down for the last calls, so it is not asked for a while. Nothing was called."
        return Failure(code="circuit_open", message=message, retryable=True, retry_after=max(0.0, wait))

    @contextlib.contextmanager
    def watch(self, name: str) -> Iterator[WatchedCall]:
        """Let the call within go through, and learn from how it ends. Raises ProviderError `circuit_open`."""
        if (refusal := self.refusal(name)) is not None:
            raise ProviderError(refusal)
        before = self._circuits.get(name, Closed())
        probe = begun(before) is not before
        self._become(name, begun(before))
        watched = WatchedCall()
        try:
            yield watched
        except BaseException as error:
            watched.sign = sign_of(error.failure) if isinstance(error, ProviderError) else Sign.NOTHING
            raise
        finally:
            after = ended(self._circuits.get(name, Closed()), self._terms, watched.sign, self._now(), probe=probe)
            self._become(name, after)

    async def until_changed(self, seconds: float) -> None:
        """Return when a state has changed since the last time, at the latest after `seconds`."""
        opens = [wait_of(circuit, self._terms, self._now()) for circuit in self._circuits.values()]
        soon = min([seconds, *(wait for wait in opens if wait is not None)])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(soon):
                await self._changed.wait()
        self._changed.clear()

    def _become(self, name: str, circuit: Circuit) -> None:
        before = self._circuits.get(name, Closed())
        if circuit == before:
            return
        self._circuits[name] = circuit
        if type(circuit) is type(before):
            return
        state = state_of(circuit, self._now())
        _log.warning("circuit", provider=name, state=state)
        metrics.CIRCUIT.labels(name).set_function(partial(self._number, name))
        self._changed.set()
        if state == "open":
            self.on_open(name)

    def _number(self, name: str) -> float:
        return _STATES.index(self.state_of(name))


def sign_of(failure: Failure) -> Sign:
    """Return the sign that a failure is: any answer below 500, a refusal included, comes from a provider that is up."""
    if failure.status is not None:
        return Sign.DOWN if failure.status >= _SERVER_ERRORS else Sign.UP
    return Sign.DOWN if failure.code in _DOWN else Sign.NOTHING
