"""The wait before a process that ended is started again."""

from __future__ import annotations

import pytest

from local_stack.processes.supervisor import FIRST_SECONDS, LONGEST_SECONDS, STEADY_SECONDS, Backoff


def test_a_process_that_keeps_ending_at_once_waits_longer_each_time_up_to_a_bound() -> None:
    """A service that cannot run does not burn the machine."""
    backoff, waits = Backoff(), []
    for _ in range(10):
        backoff = backoff.after(0.1)
        waits.append(backoff.seconds)
    assert waits[:4] == [0.5, 1, 2, 4]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_SECONDS


@pytest.mark.parametrize("history", [0, 1, 5])
def test_a_process_that_ran_steadily_starts_again_without_a_history(history: int) -> None:
    """One crash a day costs half a second each."""
    backoff = Backoff()
    for _ in range(history):
        backoff = backoff.after(0.1)
    assert backoff.after(STEADY_SECONDS) == Backoff(FIRST_SECONDS)
