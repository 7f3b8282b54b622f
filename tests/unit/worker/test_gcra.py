"""The rule of slots, places and tokens, on a clock that stands in the test."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from provider_worker.rate_limits.gcra import AHEAD, FRESH_SECONDS, JITTER, LEASE_SECONDS, TOKEN_SECONDS, WINDOW, pace_of
from provider_worker.rate_limits.reservations import Account, Rule

LIMITS = st.integers(1, 3000)
PAUSES = st.lists(st.floats(0, 30), min_size=1, max_size=40)
LATE = st.integers(0, 2**32)


@given(limit=LIMITS, pauses=PAUSES, asked=st.integers(1, 80), late=LATE)
def test_no_minute_sees_more_requests_than_its_limit(limit: int, pauses: list[float], asked: int, late: int) -> None:
    """Whenever calls arrive, and however late each begins within the allowance."""
    account, rule, now = Account(), Rule("acme", pace_of(limit)), 1000.0
    begun: list[float] = []
    for pause in pauses:
        now += pause
        reserved = account.reserve(rule, "ann", 0, [0] * asked, now)
        begun += [now + begins + _lateness(late, len(begun) + place) for place, begins in enumerate(reserved.begins_in)]
    assert _most_in_a_window([(at, 1) for at in begun]) <= limit


@given(limit=LIMITS, workers=st.integers(1, 6))
def test_more_than_nine_tenths_are_used_while_work_waits(limit: int, workers: int) -> None:
    """By however many workers it is asked for, as late as they are told to come again."""
    account, rule, end = Account(), Rule("acme", pace_of(limit)), 1000.0 + 10 * (WINDOW + JITTER)
    comes = dict.fromkeys((f"worker-{number}" for number in range(workers)), 1000.0)
    begun = 0
    while (now := min(comes.values())) < end:
        worker = min(comes, key=lambda name: comes[name])
        reserved = account.reserve(rule, worker, 0, [0] * 64, now)
        begun += sum(now + begins < end for begins in reserved.begins_in)
        comes[worker] = now + reserved.again_in + 0.25
    assert begun > 0.9 * limit * (end - 1000.0) / WINDOW


@given(
    limit=st.integers(100, 10_000),
    calls=st.lists(
        st.tuples(st.floats(0, 20), st.integers(0, 400), st.floats(0, 1), st.integers(1, 80)), min_size=1, max_size=40
    ),
    late=LATE,
)
def test_no_minute_sees_more_tokens_than_its_limit(
    limit: int, calls: list[tuple[float, int, float, int]], late: int
) -> None:
    """Though unused tokens are given back while other calls get slots."""
    account, rule, now = Account(), Rule("acme", tokens=limit), 1000.0
    used: list[tuple[float, int]] = []
    for pause, estimate, share, asked in calls:
        now += pause
        tokens = min(estimate, limit)
        reserved = account.reserve(rule, "ann", 0, [tokens] * asked, now)
        for begins, second in zip(reserved.begins_in, reserved.seconds, strict=True):
            real = math.floor(tokens * share)
            account.tokens[second] += real - tokens
            used.append((now + begins + _lateness(late, len(used)), real))
    assert _most_in_a_window(used) <= limit


def test_tokens_come_back_when_their_seconds_are_out_of_every_minute_and_not_before() -> None:
    """A call may begin late within the allowance, and its minute begins with it."""
    account, rule = Account(), Rule("acme", tokens=100)
    assert len(account.reserve(rule, "ann", 0, [100], 1000.9).begins_in) == 1
    assert account.reserve(rule, "ann", 0, [1], 1000.9 + WINDOW + JITTER).begins_in == []
    assert len(account.reserve(rule, "ann", 0, [1], 1000.9 + WINDOW + JITTER + 1).begins_in) == 1


@given(limit=st.integers(1000, 100_000), share=st.floats(0.001, 0.04))
def test_more_than_nine_tenths_of_the_tokens_are_used_while_work_waits(limit: int, share: float) -> None:
    """By calls that are small beside the limit."""
    account, rule, now, each = Account(), Rule("acme", tokens=limit), 1000.0, max(1, int(limit * share))
    end, used = now + 10 * TOKEN_SECONDS, 0
    while now < end:
        used += each * len(account.reserve(rule, "ann", 0, [each] * 64, now).begins_in)
        now += 0.5
    assert used > 0.9 * limit * (end - 1000.0) / WINDOW


@given(
    most=st.integers(1, 10),
    story=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 5), st.integers(0, 5)), max_size=80),
)
def test_never_more_calls_run_at_once_than_there_are_places(most: int, story: list[tuple[str, int, int]]) -> None:
    """For any order of asking, ending calls, and asking again."""
    account, rule, now = Account(), Rule("acme", places=most), 1000.0
    running = dict.fromkeys("abcd", 0)
    for worker, ends, wanted in story:
        now += 0.1
        running[worker] = max(0, running[worker] - ends)
        running[worker] += len(account.reserve(rule, worker, running[worker], [0] * wanted, now).begins_in)
        assert sum(running.values()) <= most


def test_a_worker_that_waits_is_not_passed_over_by_one_that_always_has_more_to_do() -> None:
    """A place that comes free goes to who has fewer; two that share one place take turns."""
    account, rule = Account(), Rule("acme", places=2)
    assert len(account.reserve(rule, "greedy", 0, [0] * 5, 0.0).begins_in) == 2
    assert len(account.reserve(rule, "modest", 0, [0], 0.1).begins_in) == 0
    assert len(account.reserve(rule, "greedy", 1, [0] * 5, 0.2).begins_in) == 0
    assert len(account.reserve(rule, "modest", 0, [0], 0.3).begins_in) == 1
    assert len(account.reserve(rule, "greedy", 0, [0] * 5, 0.4).begins_in) == 1


def test_a_place_is_not_kept_for_who_does_not_come_again() -> None:
    """A worker that asked in vain and left holds up the others for a moment only."""
    account, rule = Account(), Rule("acme", places=1)
    account.reserve(rule, "ann", 0, [0], 0.0)
    account.reserve(rule, "bob", 0, [0], 0.1)
    assert len(account.reserve(rule, "ann", 0, [0], 0.2).begins_in) == 0
    assert len(account.reserve(rule, "ann", 0, [0], 0.2 + FRESH_SECONDS).begins_in) == 1


def test_a_worker_that_says_nothing_for_a_lease_holds_no_place_any_more() -> None:
    """It was killed."""
    account, rule = Account(), Rule("acme", places=1)
    account.reserve(rule, "killed", 0, [0], 0.0)
    assert len(account.reserve(rule, "ann", 0, [0], LEASE_SECONDS - 1).begins_in) == 0
    assert len(account.reserve(rule, "ann", 0, [0], LEASE_SECONDS + 1).begins_in) == 1


def test_slots_are_not_given_far_ahead() -> None:
    """A call that gets no slot now gets the time to ask again."""
    account, rule = Account(), Rule("acme", pace_of(6))
    reserved = account.reserve(rule, "ann", 0, [0, 0], 0.0)
    assert reserved.begins_in == [0.0]
    assert math.isclose(reserved.again_in, (WINDOW + JITTER) / 6 - AHEAD)


def _lateness(seed: int, place: int) -> float:
    return (seed * 2_654_435_761 + place * 40_503) % 1000 / 1000 * JITTER * 0.999


def _most_in_a_window(begun: list[tuple[float, int]]) -> int:
    ordered = sorted(begun)
    return max(
        (sum(number for at, number in ordered if began <= at < began + WINDOW) for began, _ in ordered), default=0
    )
