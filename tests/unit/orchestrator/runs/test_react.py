"""What follows from an event: orders that are still awaited, and one deadline."""

from __future__ import annotations

from uuid import UUID

from contracts.providers.orders import ExecuteOrder, PrepareOrder
from contracts.runs import commands as c
from contracts.runs import events as e
from orchestrator.runs import Deadline, deadline, react
from testkit.runs.commands import (
    approve,
    at_information_review,
    at_payload_review,
    back_off_ends,
    calling,
    cancel,
    completed,
    edit,
    executed,
    extend_lease,
    failed,
    pause,
    prepared,
    rejected,
    resume,
    retry,
    start,
    time_is_up,
)
from testkit.runs.specification import Story, given


def _orders_of(story: Story) -> list[tuple[str, int]]:
    return [(order.work_id, order.attempt) for order in story.orders()]


def test_a_whole_history_published_again_orders_what_is_awaited_once() -> None:
    """After a crash the events of old commands are published again; workers must not begin anything twice."""
    long = calling().given(failed(retryable=True), back_off_ends(), failed(), retry())
    assert len([r for r in long.history if isinstance(r.data, e.CallOrdered)]) == 3
    assert _orders_of(long) == [(long.attempt.work_id, 1)]
    for over in (completed(), rejected(), calling().given(cancel())):
        assert _orders_of(over) == []


def test_an_order_that_was_answered_is_not_given_again() -> None:
    """The run waits for a person now."""
    assert _orders_of(at_payload_review()) == []
    assert _orders_of(at_information_review()) == []


def test_an_order_published_again_has_the_lease_as_it_is_now() -> None:
    """A worker that extended its lease does not get an older one."""
    story = calling().later(20)
    extended = story.given(extend_lease())
    (before,), (after,) = story.orders(), extended.orders()
    assert after.deadline > before.deadline
    assert after.model_copy(update={"deadline": before.deadline}) == before


def test_the_first_preparation_is_not_ordered_again_after_an_edit() -> None:
    """The order of the first event was answered before the edit."""
    story = at_information_review().given(edit({"provider": "openai"}))
    (order,) = story.orders()
    assert isinstance(order, PrepareOrder)
    assert order.intent.provider == "openai"


def test_a_retry_that_waits_orders_nothing() -> None:
    """During the back-off no worker holds the order."""
    assert _orders_of(given(start(), failed(retryable=True))) == []


def test_a_paused_run_still_tells_its_worker() -> None:
    """The attempt goes on: published again, its order is the same."""
    assert _orders_of(calling().given(pause())) == _orders_of(calling())


def test_an_order_says_everything_that_a_worker_needs() -> None:
    """A worker can carry it out without asking back: provider, payload, deadline and owner."""
    (order,) = calling(lease_seconds=33).orders()
    assert isinstance(order, ExecuteOrder)
    assert (order.provider, order.model, order.operation) == ("sandbox", "echo", "text")
    assert (order.tenant, order.session_id, order.lease_seconds) == ("default", "s1", 33)


# ---- deadlines


def test_a_run_waits_for_one_time_at_every_step() -> None:
    """The lease, the next attempt or the checkpoint; none if the run is over, or paused without a leased attempt."""
    begun = given(start(allowed_steps=("payload_review",)))
    stages = [
        (begun, c.ExpireLease),
        (begun.given(failed(retryable=True)), c.RetryWork),
        (begun.given(prepared()), c.ExpireCheckpoint),
        (begun.given(prepared(), pause()), type(None)),
        (begun.given(prepared(), pause(), resume()), c.ExpireCheckpoint),
        (begun.given(prepared(), approve()), c.ExpireLease),
        (begun.given(prepared(), approve(), pause()), c.ExpireLease),
        (begun.given(prepared(), approve(), pause(), executed()), type(None)),
        (begun.given(prepared(), approve(), executed()), type(None)),
        (begun.given(prepared(), cancel()), type(None)),
        (begun.given(prepared(), time_is_up()), type(None)),
    ]
    assert [type(story.due) for story, _ in stages] == [expected for _, expected in stages]


def test_a_deadline_is_cleared_and_not_left_standing() -> None:
    """Every event says what the run waits for now, so the last deadline is the true one."""
    for story in (completed(), rejected()):
        for record in story.history:
            *_, said = react(record.data, story.now)
            assert said == Deadline(story.now.run_id, None)


def test_a_deadline_that_moved_is_another_command() -> None:
    """The id holds the time: a refusal of the early command does not answer the later one."""
    story = calling()
    extended = story.later(20).given(extend_lease())
    ids: set[UUID] = {due.command_id for due in (story.due, extended.due) if due is not None}
    assert len(ids) == 2


def test_a_deadline_said_twice_is_the_same_command() -> None:
    """Two orchestrators, or one that starts again, send the same command under the same id."""
    assert calling().due == calling().due


def test_an_event_of_a_later_version_of_the_software_orders_nothing() -> None:
    """Unknown kinds are read and passed on; what the run waits for stays what it is."""
    story = calling()
    (said,) = react(e.UnknownEvent(facts={"x": 1}), story.now)
    assert said == deadline(story.now)
    assert story.due is not None
