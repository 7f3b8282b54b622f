"""The read model's fold: given loaded runs, when a batch comes, then these changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from contracts.runs.event_header import EventHeader
from contracts.runs.tasks.readers import ALL
from gateway.projection.pending import PendingCheckpoint
from gateway.projection.rows import Changes, LoadedRun, RunRow, loaded_at, project_batch
from testkit.runs.commands import (
    approve,
    at_error_review,
    at_payload_review,
    cancel,
    executed,
    pause,
    reject,
    resume,
    retry,
    time_is_up,
)
from testkit.runs.histories import history_of, view_of
from testkit.runs.specification import Story

FINISHED = at_payload_review().given(approve(), executed(), approve())
"""A run from its start to its end, with two decisions."""

RECORDS = history_of(FINISHED)
EVENTS = [EventHeader.parse(record) for record in RECORDS]
RUN_ID = EVENTS[0].run_uuid


def after(events: int, *, in_ledger: int = 0) -> dict[UUID, LoadedRun]:
    """Return the run as loaded, with so many events in its row and so many in the ledger."""
    return {RUN_ID: loaded_at(events, EVENTS[: max(events, in_ledger)])}


def then(changes: Changes, *, version: int | None, gap: int | None = None) -> None:
    """Expect the run moved to a version or not at all, and a version missing or none."""
    moved = changes.moved.get(RUN_ID)
    assert (moved.row.version if moved else None, changes.gaps.get(RUN_ID)) == (version, gap)


def row_of(records: Sequence[bytes]) -> RunRow:
    """Return the row that belongs to the view of a history without rules."""
    view, headers = view_of(records), [EventHeader.parse(record) for record in records]
    pending = None
    if (shown := view.checkpoint) is not None:
        times = shown.opened_at, shown.expires_at
        pending = PendingCheckpoint(shown.checkpoint_id, shown.step, shown.subject_sha256, *times, shown.task)
    names = view.session_id, view.user_id
    readers = ALL if any(header.effect.opens for header in headers) else ()
    times = view.created_at, view.updated_at
    return RunRow(
        view.run_id, headers[0].tenant, view.version, view.state, *names, *times, pending, view.requested_by, readers
    )


STORIES = {
    "approved twice": FINISHED,
    "rejected": at_payload_review().given(reject(reason="no")),
    "retried": at_error_review().given(retry()),
    "waits": at_payload_review(),
    "pending after an error": at_error_review(),
    "cancelled": at_payload_review().given(cancel()),
    "paused": at_payload_review().given(pause()),
    "resumed": at_payload_review().given(pause()).later(60).given(resume()),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_a_row_says_what_the_view_says(story: Story) -> None:
    """At each version of a run: its state, its checkpoint and its times are those of the contracts' fold."""
    loaded: dict[UUID, LoadedRun] = {}
    records = history_of(story)
    for version, record in enumerate(records, start=1):
        ((run_id, moved),) = project_batch(loaded, [EventHeader.parse_with_facts(record)]).moved.items()
        assert moved.row == row_of(records[:version])
        loaded = {run_id: LoadedRun(moved.row)}


def test_a_checkpoint_that_is_offered_anew_ends_later() -> None:
    """Escalated or resumed, its row changes; decided, it goes."""
    offered = at_payload_review(on_timeout="escalate")
    waited, pending = (
        project_batch({}, [EventHeader.parse_with_facts(record) for record in history_of(story, RUN_ID)])
        .moved[RUN_ID]
        .row.pending
        for story in (offered, offered.given(time_is_up()))
    )
    assert waited is not None
    assert pending is not None
    assert pending.checkpoint_id == waited.checkpoint_id
    assert pending.expires_at > waited.expires_at
    moved = project_batch(after(3), EVENTS[3:]).moved[RUN_ID]
    assert moved.closed is not None
    assert moved.opened is None


def test_a_batch_goes_on_where_the_row_stands() -> None:
    """Given three events, when two more come, then the row is at five, and names the row it was folded on."""
    changes = project_batch(after(3), EVENTS[3:5])
    then(changes, version=5)
    found = changes.moved[RUN_ID].found
    assert found is not None
    assert found.version == 3
    assert changes.news == 2


def test_events_that_were_folded_before_change_nothing() -> None:
    """Given five events, when three of them come again, then nothing is written."""
    then(project_batch(after(5), EVENTS[1:4]), version=None)


def test_an_event_twice_in_a_batch_counts_once() -> None:
    """Given nothing, when a batch repeats itself, then each event is folded once."""
    changes = project_batch({}, [*EVENTS[:2], *EVENTS[:3]])
    then(changes, version=3)
    assert changes.news == 3


def test_an_event_before_its_turn_moves_nothing() -> None:
    """Given two events, when the fourth comes, then the third is said to be missing."""
    then(project_batch(after(2), [EVENTS[3]]), version=None, gap=3)


def test_a_batch_is_folded_up_to_its_gap() -> None:
    """Given nothing, when 1, 2 and 4 come, then the row is at 2."""
    then(project_batch({}, [EVENTS[0], EVENTS[1], EVENTS[3]]), version=2, gap=3)


def test_the_record_fills_a_gap() -> None:
    """Given 2 events and a record of 4, when the fifth comes, then all are folded."""
    then(project_batch(after(2, in_ledger=4), [EVENTS[4]]), version=5)


def test_a_gap_in_one_run_holds_up_no_other() -> None:
    """Given nothing, when one run comes whole and another broken, then the first is folded whole."""
    other = uuid4()
    changes = project_batch({}, [EVENTS[1], *(EventHeader.parse(record) for record in history_of(FINISHED, other))])
    assert changes.moved[other].row.version == len(EVENTS)
    assert changes.gaps == {RUN_ID: 1}


@pytest.mark.parametrize(
    ("story", "actions"),
    [
        (FINISHED, ["approve", "approve"]),
        (STORIES["rejected"], ["reject"]),
        (STORIES["retried"], ["approve", "retry"]),
        (STORIES["cancelled"], []),
    ],
    ids=["approved twice", "rejected", "retried", "cancelled"],
)
def test_each_decision_is_recorded_in_its_place(story: Story, actions: list[str]) -> None:
    """Given nothing, when a history comes, then its approval rows say what the view says of the last one."""
    records = history_of(story)
    approvals = project_batch({}, [EventHeader.parse(record) for record in records]).approvals
    assert [approval_row.action for approval_row in approvals] == actions
    for approval_row in approvals:
        approval = view_of(records[: approval_row.version]).last_approval
        assert approval is not None
        told = approval.checkpoint_id, approval.step, approval.action, approval.actor, approval.at
        assert (
            approval_row.checkpoint_id,
            approval_row.step,
            approval_row.action,
            approval_row.actor,
            approval_row.at,
        ) == told
        assert approval_row.subject_sha256 == approval.subject_sha256


def test_a_kind_that_is_not_known_is_an_event_like_any_other() -> None:
    """New kinds may come, whatever they mean by our names: the version moves on, nothing else changes."""
    facts = {"step": 7, "checkpoint_id": "x", "expires_at": None}
    told = {**json.loads(RECORDS[3]), "kind": "run-blessed.v1", "data": facts}
    changes = project_batch(after(3), [EventHeader.parse(json.dumps(told).encode())])
    then(changes, version=4)
    before = after(3)[RUN_ID].row
    assert before is not None
    row = changes.moved[RUN_ID].row
    assert (row.state, row.pending) == (before.state, before.pending)


def test_nothing_is_folded_onto_a_row_that_the_ledger_does_not_reach() -> None:
    """What is missing is said, with the version at which the ledger ends."""
    ahead = {RUN_ID: loaded_at(5, EVENTS[:3])}
    then(project_batch(ahead, EVENTS), version=None, gap=4)
    then(project_batch({RUN_ID: loaded_at(5, [])}, EVENTS), version=None, gap=1)


@over(st.data())
def test_any_way_of_cutting_and_repeating_a_history_ends_in_the_same_row(data: st.DataObject) -> None:
    """Whatever the batches, and however often events come again, the row ends as the fold of all events from nothing."""
    loaded, reached = {RUN_ID: LoadedRun()}, 0
    while reached < len(EVENTS):
        start = data.draw(st.integers(0, reached))
        end = data.draw(st.integers(reached + 1, len(EVENTS)))
        changes = project_batch(loaded, EVENTS[start:end])
        assert not changes.gaps
        loaded = {RUN_ID: LoadedRun(changes.moved[RUN_ID].row)}
        reached = end
    assert loaded[RUN_ID].row == row_of(RECORDS)


@over(st.permutations(range(len(EVENTS))))
def test_in_any_order_each_row_on_the_way_is_an_unbroken_fold(order: Sequence[int]) -> None:
    """Events in any order, one a batch, beside a ledger that has those before: no row ever skips one."""
    row: RunRow | None = None
    for index in order:
        loaded = LoadedRun(row, tuple(EVENTS[:index]))
        changes = project_batch({RUN_ID: loaded}, [EVENTS[index]])
        assert not changes.gaps
        if moved := changes.moved.get(RUN_ID):
            row = moved.row
            assert row == row_of(RECORDS[: row.version])
    assert row is not None
    assert row.version == len(EVENTS)
    assert isinstance(row.updated_at, datetime)
