"""A circuit breaker: a provider that is down is not asked. Pure: time is passed in.

`docs/decisions/0007-own-circuit-breaker.md` says why none of the libraries serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias, assert_never

State: TypeAlias = 'Literal["closed", "open", "half_open"]'


class Sign(StrEnum):
    """The health of a provider by the end of a call."""

    UP = "up"
    DOWN = "down"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Closed:
    """Calls go through; so many in a row found the provider down."""

    failures: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """No call goes through until then; after that, one does."""

    until: float


@dataclass(frozen=True, slots=True)
class Probing:
    """One call is on its way to find out."""


Circuit = Closed | Open | Probing


@dataclass(frozen=True, slots=True)
class CircuitTerms:
    """After how many failures in a row it opens, 0 for never, and for how many seconds."""

    failures: int = 5
    seconds: float = 30.0


def state_of(circuit: Circuit, now: float) -> State:
    """Name the state."""
    match circuit:
        case Closed():
            return "closed"
        case Open(until=until):
            return "open" if now < until else "half_open"
        case Probing():
            return "half_open"
        case _:
            assert_never(circuit)


def wait_of(circuit: Circuit, terms: CircuitTerms, now: float) -> float | None:
    """Return the seconds after which a call may be tried that may not go through now; None for one that may."""
    match circuit:
        case Closed():
            return None
        case Open(until=until):
            return until - now if now < until else None
        case Probing():
            return terms.seconds
        case _:
            assert_never(circuit)


def begun(circuit: Circuit) -> Circuit:
    """Return the circuit after a call went through: the first after a pause is the one that finds out."""
    return Probing() if isinstance(circuit, Open) else circuit


def ended(circuit: Circuit, terms: CircuitTerms, sign: Sign, now: float, *, probe: bool) -> Circuit:
    """Return the circuit after a call's end. Calls that began before it opened do not close it."""
    match circuit, sign:
        case Closed(failures=failures), Sign.DOWN:
            opens = 0 < terms.failures <= failures + 1
            return Open(now + terms.seconds) if opens else Closed(failures + 1)
        case Closed(), Sign.UP:
            return Closed()
        case Probing(), Sign.UP if probe:
            return Closed()
        case Probing(), Sign.DOWN if probe:
            return Open(now + terms.seconds)
        case Probing(), Sign.NOTHING if probe:
            return Open(now)
        case _:
            return circuit
