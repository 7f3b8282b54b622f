"""The circuit breaker: its opening, its closing, and its state. Its clock stands in the test."""

from __future__ import annotations

import pytest

from contracts.providers.call import Failure
from provider_worker.providers.base import ProviderError
from provider_worker.rate_limits.circuit_breaker import CircuitTerms, Sign
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers, sign_of

DOWN = Failure(code="connection_failed", message="no connection", retryable=True)
REFUSED = Failure(code="request_refused", message="no", status=400)
NAME = "openai"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def circuits(clock: Clock) -> CircuitBreakers:
    """Give circuits that open after three failures, for ten seconds."""
    return CircuitBreakers(CircuitTerms(failures=3, seconds=10), clock)


def call(circuits: CircuitBreakers, failure: Failure | None = None) -> None:
    """Let a call through that ends so."""
    with circuits.watch(NAME):
        if failure is not None:
            raise ProviderError(failure)


def fail(circuits: CircuitBreakers, failure: Failure, times: int) -> None:
    """Let calls fail."""
    for _ in range(times):
        with pytest.raises(ProviderError):
            call(circuits, failure)


def test_it_opens_after_so_many_failures_in_a_row_and_not_before(circuits: CircuitBreakers) -> None:
    """One call that is answered between them starts the count again."""
    fail(circuits, DOWN, 2)
    call(circuits)
    fail(circuits, DOWN, 2)
    assert circuits.state_of(NAME) == "closed"
    fail(circuits, DOWN, 1)
    assert circuits.state_of(NAME) == "open"
    assert circuits.state_of("anthropic") == "closed"


def test_while_it_is_open_nothing_is_called_and_the_failure_says_when_to_come_again(
    circuits: CircuitBreakers, clock: Clock
) -> None:
    """It is retryable and not uncertain."""
    fail(circuits, DOWN, 3)
    clock.now += 4
    with pytest.raises(ProviderError) as refused, circuits.watch(NAME):
        pytest.fail("called")
    failure = refused.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == ("circuit_open", True, False)
    assert failure.retry_after == 6


def test_after_its_pause_one_call_finds_out(circuits: CircuitBreakers, clock: Clock) -> None:
    """The others wait for its end: answered, the circuit closes."""
    fail(circuits, DOWN, 3)
    clock.now += 10
    assert circuits.state_of(NAME) == "half_open"
    with circuits.watch(NAME):
        assert circuits.state_of(NAME) == "half_open"
        fail(circuits, REFUSED, 1)
        assert circuits.refusal(NAME) is not None
    assert circuits.state_of(NAME) == "closed"
    call(circuits)


def test_a_call_that_finds_it_still_down_opens_it_again(circuits: CircuitBreakers, clock: Clock) -> None:
    """For as long as before."""
    fail(circuits, DOWN, 3)
    clock.now += 10
    fail(circuits, DOWN, 1)
    assert circuits.state_of(NAME) == "open"
    refusal = circuits.refusal(NAME)
    assert refusal is not None
    assert refusal.retry_after == 10


def test_a_call_that_finds_out_nothing_leaves_it_to_the_next(circuits: CircuitBreakers, clock: Clock) -> None:
    """Such as one whose payload was refused here."""
    fail(circuits, DOWN, 3)
    clock.now += 10
    fail(circuits, Failure(code="payload_mismatch", message="no"), 1)
    assert circuits.state_of(NAME) == "half_open"
    call(circuits)
    assert circuits.state_of(NAME) == "closed"


def test_calls_from_before_do_not_close_it(circuits: CircuitBreakers) -> None:
    """They tell of a time that is gone."""
    with circuits.watch(NAME):
        fail(circuits, DOWN, 3)
    assert circuits.state_of(NAME) == "open"


def test_of_the_calls_that_end_while_one_finds_out_that_one_alone_counts(
    circuits: CircuitBreakers, clock: Clock
) -> None:
    """An answer to an older call comes from before the provider was down."""
    with circuits.watch(NAME):
        fail(circuits, DOWN, 3)
        clock.now += 10
        finding_out = circuits.watch(NAME)
        finding_out.__enter__()
    assert circuits.state_of(NAME) == "half_open"
    finding_out.__exit__(None, None, None)
    assert circuits.state_of(NAME) == "closed"


def test_no_failures_allowed_for_means_never(clock: Clock) -> None:
    """It can be switched off."""
    circuits = CircuitBreakers(CircuitTerms(failures=0), clock)
    fail(circuits, DOWN, 50)
    assert circuits.state_of(NAME) == "closed"


async def test_a_change_is_told_at_once(circuits: CircuitBreakers) -> None:
    """To who announces capabilities; once for each."""
    fail(circuits, DOWN, 3)
    await circuits.until_changed(3600)


@pytest.mark.parametrize(
    ("failure", "sign"),
    [
        (DOWN, Sign.DOWN),
        (Failure(code="connection_lost", message="", uncertain=True), Sign.DOWN),
        (Failure(code="timeout", message="", uncertain=True), Sign.DOWN),
        (Failure(code="timeout", message="", status=504), Sign.DOWN),
        (Failure(code="provider_error", message="", status=500), Sign.DOWN),
        (Failure(code="provider_error", message="", status=529), Sign.DOWN),
        (Failure(code="rate_limited", message="", status=429), Sign.UP),
        (Failure(code="auth_failed", message="", status=401), Sign.UP),
        (REFUSED, Sign.UP),
        (Failure(code="provider_bug", message=""), Sign.NOTHING),
        (Failure(code="storage_unavailable", message=""), Sign.NOTHING),
    ],
    ids=lambda value: value if isinstance(value, Sign) else f"{value.code}-{value.status}",
)
def test_what_a_failure_says_of_the_provider(failure: Failure, sign: Sign) -> None:
    """A provider that answers below 500 is up, a refusal and a rate limit included."""
    assert sign_of(failure) is sign
