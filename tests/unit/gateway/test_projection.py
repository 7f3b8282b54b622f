"""The read model's fold: given what is known of runs, when a batch comes, then these changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from contracts.runs.events import UnknownEvent
from gateway.projection import Changes, Gap, Known, Recorded, project_batch
from support.asking import approve, at_error_review, at_payload_review, cancel, executed, reject, retry
from support.deciding import Story
from support.projecting import history_of, view_of

FINISHED = at_payload_review().given(approve(), executed(), approve())
"""A run from its start to its end, with two decisions."""

EVENTS = history_of(FINISHED)
RUN_ID = EVENTS[0].event.run_id


def after(*events: Recorded, parked: Sequence[Recorded] = ()) -> dict[UUID, Known]:
    """Return what is known of the run after `events`, with others parked."""
    return {RUN_ID: Known(view_of(events) if events else None, tuple(parked))}


def then(changes: Changes, *, version: int | None, events: int, gap: Gap | None = None) -> None:
    """Expect the run at a version, so many events written down, and a gap or none."""
    moved = changes.moved.get(RUN_ID)
    assert (moved.view.version if moved else None, len(changes.events)) == (version, events)
    assert changes.gaps.get(RUN_ID) == gap


def test_a_view_is_the_fold_of_all_its_events() -> None:
    """From nothing: the view that the orchestrator answers with, field by field."""
    changes = project_batch({}, EVENTS)
    then(changes, version=len(EVENTS), events=len(EVENTS))
    assert changes.moved[RUN_ID].view == FINISHED.view
    assert changes.moved[RUN_ID].tenant == "default"


def test_a_batch_goes_on_where_the_view_stands() -> None:
    """Given three events, when two more come, then five are folded and two are written down."""
    then(project_batch(after(*EVENTS[:3]), EVENTS[3:5]), version=5, events=2)


def test_events_that_were_folded_before_change_nothing() -> None:
    """Given five events, when three of them come again, then nothing is written."""
    then(project_batch(after(*EVENTS[:5]), EVENTS[1:4]), version=None, events=0)


def test_an_event_twice_in_a_batch_counts_once() -> None:
    """Given nothing, when a batch repeats itself, then each event is written once."""
    then(project_batch({}, [*EVENTS[:2], *EVENTS[:3]]), version=3, events=3)


def test_an_event_before_its_turn_is_parked() -> None:
    """Given two events, when the fourth comes, then it is written down and the view stays what it was."""
    then(project_batch(after(*EVENTS[:2]), [EVENTS[3]]), version=None, events=1, gap=Gap(2, 4))


def test_a_batch_is_folded_up_to_its_gap() -> None:
    """Given nothing, when 1, 2 and 4 come, then the view is at 2 and 4 is parked."""
    then(project_batch({}, [EVENTS[0], EVENTS[1], EVENTS[3]]), version=2, events=3, gap=Gap(2, 4))


def test_the_missing_event_lets_parked_ones_be_view_of() -> None:
    """Given 1, 2 and a parked 4, when 3 comes, then the view is at 4 and only 3 is written down."""
    then(project_batch(after(*EVENTS[:2], parked=[EVENTS[3]]), [EVENTS[2]]), version=4, events=1)


def test_parked_events_are_folded_without_a_batch_when_their_turn_has_come() -> None:
    """Given 3 events and a parked fourth, when nothing comes, then it is folded: a rebuild brought the third."""
    then(project_batch(after(*EVENTS[:3], parked=[EVENTS[3]]), []), version=4, events=0)


def test_a_run_whose_beginning_is_missing_has_no_view() -> None:
    """Given nothing, when the second event comes alone, then no view is made up."""
    then(project_batch({}, [EVENTS[1]]), version=None, events=1, gap=Gap(0, 2))


def test_a_gap_in_one_run_holds_up_no_other() -> None:
    """Given nothing, when one run comes whole and another broken, then the first is folded whole."""
    other = uuid4()
    changes = project_batch({}, [EVENTS[1], *history_of(FINISHED, other)])
    assert changes.moved[other].view.version == len(EVENTS)
    assert changes.gaps.keys() == {RUN_ID}


@pytest.mark.parametrize(
    ("story", "actions"),
    [
        (FINISHED, ["approve", "approve"]),
        (at_payload_review().given(reject(reason="no")), ["reject"]),
        (at_error_review().given(retry()), ["approve", "retry"]),
        (at_payload_review().given(cancel()), []),
    ],
    ids=["approved twice", "rejected", "retried", "cancelled"],
)
def test_each_decision_is_recorded_in_its_place(story: Story, actions: list[str]) -> None:
    """Given nothing, when a history comes, then its decisions are told with who, what and at which version."""
    events = history_of(story)
    decisions = project_batch({}, events).decisions
    assert [decision.approval.action for decision in decisions] == actions
    assert {decision.approval.actor for decision in decisions} <= {"ann"}
    kinds = {item.event.version: item.event.kind for item in events}
    assert all(kinds[d.version].startswith(("checkpoint-", "run-retried")) for d in decisions)


def test_the_text_of_an_event_is_kept_as_it_came() -> None:
    """What is shown in a history is what was recorded, members that this reader does not know included."""
    value = json.dumps({**json.loads(EVENTS[0].text), "new_member": 1}, indent=1)
    assert Recorded.parse(value.encode()).text == value


def test_a_kind_that_is_not_known_is_an_event_like_any_other() -> None:
    """New kinds may come: the version moves on, nothing else changes."""
    unknown = Recorded.parse(json.dumps({**json.loads(EVENTS[3].text), "kind": "run-blessed.v1"}).encode())
    assert isinstance(unknown.event.data, UnknownEvent)
    changes = project_batch(after(*EVENTS[:3]), [unknown])
    then(changes, version=4, events=1)
    assert changes.moved[RUN_ID].view.state == view_of(EVENTS[:3]).state


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"not json",
        b"{}",
        b"\xff",
        json.dumps({**json.loads(EVENTS[0].text), "version": 0}).encode(),
        json.dumps({**json.loads(EVENTS[0].text), "run_id": "x"}).encode(),
    ],
    ids=["no value", "empty", "not JSON", "no members", "not UTF-8", "version 0", "no run"],
)
def test_what_is_no_event_is_refused(value: bytes | None) -> None:
    """A record that cannot be an event is named so before anything is folded."""
    with pytest.raises(ValueError, match=r".+"):
        Recorded.parse(value)


@over(st.data())
def test_any_way_of_cutting_and_repeating_a_history_ends_in_the_same_view(data: st.DataObject) -> None:
    """Whatever the batches, and however often a stretch comes again, the tables end as the fold of all events from nothing."""
    known, written = {RUN_ID: Known()}, dict[int, Recorded]()
    reached = 0
    while reached < len(EVENTS):
        start = data.draw(st.integers(0, reached))
        end = data.draw(st.integers(reached + 1, len(EVENTS)))
        changes = project_batch(known, EVENTS[start:end])
        assert not changes.gaps
        written |= {item.event.version: item for item in changes.events}
        known = {RUN_ID: Known(changes.moved[RUN_ID].view)}
        reached = end
    assert known[RUN_ID].view == view_of(EVENTS)
    assert [written[version] for version in sorted(written)] == EVENTS


@over(st.permutations(range(len(EVENTS))))
def test_in_any_order_each_view_on_the_way_is_an_unbroken_fold(order: list[int]) -> None:
    """Events in any order, one a batch: at no moment does the view hold an event whose predecessor is missing."""
    view, parked, seen = None, dict[int, Recorded](), set[int]()
    for index in order:
        changes = project_batch({RUN_ID: Known(view, tuple(parked.values()))}, [EVENTS[index]])
        seen.add(index + 1)
        parked[index + 1] = EVENTS[index]
        if moved := changes.moved.get(RUN_ID):
            view = moved.view
            parked = {version: item for version, item in parked.items() if version > view.version}
            assert set(range(1, view.version + 1)) <= seen
            assert view == view_of(EVENTS[: view.version])
    assert view == view_of(EVENTS)
