"""The row of a checkpoint and its task: folded from headers, and the same as in the view."""

from __future__ import annotations

import json

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from contracts.identity import Role
from contracts.runs.event_header import EventHeader
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.readers import ALL
from contracts.runs.views import RunView, project
from gateway.projection.rows import LoadedRun, RunRow, loaded_at, project_batch
from testkit.runs.commands import approve, at_payload_review, edit, executed, reject, retry
from testkit.runs.histories import history_of, view_of
from testkit.runs.people import ADAM, ANN, BO, CY, principal
from testkit.runs.specification import Ask, Story
from testkit.runs.task_stories import task_stories
from testkit.runs.tasks import assign, by, claim, comment, delegate, keep_draft, reschedule, under


def row_of(story: Story) -> RunRow:
    """Return the row of a story."""
    headers = [EventHeader.parse_with_facts(record) for record in history_of(story)]
    row = loaded_at(len(headers), headers).row
    assert row is not None
    return row


def same(row: RunRow, view: RunView) -> None:
    """Expect of a row what the view says of the checkpoint."""
    shown, pending = view.checkpoint, row.pending
    assert (shown is None) == (pending is None)
    if shown is not None and pending is not None:
        assert pending.task == shown.task
        assert (pending.checkpoint_id, pending.step, pending.subject_sha256, pending.opened_at, pending.expires_at) == (
            *(shown.checkpoint_id, shown.step, shown.subject_sha256, shown.opened_at, shown.expires_at),
        )


@over(task_stories(), st.data())
def test_a_rows_task_is_the_views_whatever_happens(story: Story, data: st.DataObject) -> None:
    """At each end of a batch, however a history is cut into batches."""
    records = history_of(story)
    loaded, at = LoadedRun(), 0
    while at < len(records):
        end = data.draw(st.integers(at + 1, len(records)))
        headers = [EventHeader.parse_with_facts(record) for record in records[at:end]]
        (moved,) = project_batch({headers[0].run_uuid: loaded}, headers).moved.values()
        same(moved.row, view_of(records[:end]))
        loaded, at = LoadedRun(moved.row), end
    assert loaded.row == row_of(story)


SPOKEN = {"vote-cast.v1", "subject-revised.v1", "comment-added.v1"}


@over(task_stories())
def test_who_was_asked_once_may_read_for_ever(story: Story) -> None:
    """The candidates, the assignee and the owner at every version, and who voted, decided or commented; no other person."""
    expected: set[str] = set()
    view: RunView | None = None
    for event in story.history:
        view = project(view, event)
        if (shown := view.checkpoint) is not None:
            task = shown.task
            expected |= {"*"} if task.candidates.is_everyone else set()
            expected |= {f"u:{user}" for user in (*task.candidates.users, task.assignee, task.owner) if user}
            expected |= {f"g:{group}" for group in task.candidates.groups}
        header = EventHeader.parse(event.to_bytes())
        who = event.principal
        if who and (header.effect.action or event.kind in SPOKEN):
            expected.add(f"u:{who.person}")
        if who and event.kind == "task-claimed.v1" and not expected.isdisjoint(f"g:{group}" for group in who.groups):
            expected.add(f"u:{who.person}")
    readers = row_of(story).readers
    assert set(readers) == ({"*"} if "*" in expected else expected)
    assert len(set(readers)) == len(readers)


def test_without_rules_every_reviewer_may_read_what_waits() -> None:
    """And no entry is kept beside that one, whoever decides."""
    story = at_payload_review()
    assert row_of(story).readers is ALL
    assert row_of(story.given(by(ANN, approve()), executed())).readers is ALL


def test_who_takes_part_is_added_in_order() -> None:
    """Named, in a group, by delegation, by a comment, by an override."""
    story = under({"candidates": {"users": ["ann"], "groups": ["legal"]}})
    assert row_of(story).readers == ("u:ann", "g:legal")
    story = story.given(by(ANN, claim()), by(ANN, delegate("cy")), by(ADAM, comment()))
    assert row_of(story).readers == ("u:ann", "g:legal", "u:cy", "u:adam")
    assert row_of(story.given(by(ADAM, assign(user="di", override=True, reason="x")))).readers[-1] == "u:di"


STAND_IN = principal("di", Role.REVIEWER, on_behalf_of=("ann",))


@pytest.mark.parametrize(
    "ask", [keep_draft(), claim(), reschedule(follow_up_at="2999-01-01T00:00:00Z")], ids=["draft", "claim", "date"]
)
def test_what_says_nothing_of_the_subject_adds_no_reader(ask: Ask) -> None:
    """What a substitute saw by an absence ends with it; who votes or comments sees what became of it."""
    story = under({"candidates": {"users": ["ann"]}, "approvals_required": 1, "four_eyes": True})
    assert row_of(story.given(by(STAND_IN, ask))).readers == ("u:ann",)
    for spoken in (comment(), approve()):
        assert row_of(story.given(by(STAND_IN, spoken))).readers == ("u:ann", "u:di")


def test_a_candidate_who_claims_may_read_though_it_leaves_its_group() -> None:
    """So that it can give its claim up."""
    story = under({"candidates": {"groups": ["legal"]}}).given(by(BO, claim()))
    assert row_of(story).readers == ("g:legal", "u:bo")


def test_who_tries_a_run_again_may_read_it() -> None:
    """It decided, though nothing waited."""
    story = under({"candidates": {"users": ["ann"]}}).given(by(ANN, reject()), by(STAND_IN, retry()))
    assert row_of(story).readers[:2] == ("u:ann", "u:di")


def test_the_words_of_what_waits_are_told_when_it_changes() -> None:
    """Opened or edited while others are to approve it; a claim tells none, and what was decided within the batch neither."""
    rules = {"candidates": {"users": ["ann", "bo", "cy"]}, "approvals_required": 2}
    stories = [under(rules)]
    stories.append(stories[0].given(by(ANN, claim())))
    stories.append(stories[1].given(by(ANN, edit({"prompt": "A Blue boat"}))))
    told, loaded, at = [], LoadedRun(), 0
    for story in stories:
        records = history_of(story)
        headers = [EventHeader.parse_with_facts(record) for record in records[at:]]
        (moved,) = project_batch({headers[0].run_uuid: loaded}, headers).moved.values()
        told.append(moved.words)
        loaded, at = LoadedRun(moved.row), len(records)
    assert told == [("a", "red", "bicycle", "b"), None, ("a", "blue", "boat", "b")]
    ended = stories[2].given(by(BO, approve()))
    assert row_of(ended).pending is None
    headers = [EventHeader.parse_with_facts(record) for record in history_of(ended)]
    assert project_batch({}, headers).moved[headers[0].run_uuid].words is None


def test_a_change_of_the_task_alone_writes_the_row() -> None:
    """The list shows who has claimed it."""
    before = under({"candidates": {"users": ["ann"]}})
    records = history_of(before.given(by(ANN, claim())))
    headers = [EventHeader.parse_with_facts(record) for record in records[len(before.history) :]]
    (moved,) = project_batch({headers[0].run_uuid: LoadedRun(row_of(before))}, headers).moved.values()
    assert moved.opened is not None
    assert moved.opened.task.claimant == "ann"
    assert moved.closed is None


def test_a_comment_where_nothing_waits_lets_its_author_read() -> None:
    """It leaves no checkpoint."""
    story = under({"candidates": {"users": ["ann"]}}).given(by(ANN, approve()))
    row = row_of(story.given(by(CY.model_copy(update={"roles": ADAM.roles}), comment())))
    assert (row.pending, row.readers) == (None, ("u:ann", "u:cy"))


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("task-claimed.v1", {"checkpoint_id": None}),
        ("vote-cast.v1", {"action": "shrug"}),
        ("task-assigned.v1", {"candidates": 7}),
    ],
)
def test_an_event_of_a_task_that_cannot_be_read_is_refused(kind: str, facts: dict[str, object]) -> None:
    """Before anything is made of it."""
    event = under({"candidates": {"users": ["ann"]}}).given(by(ANN, claim())).history[-1]
    told = json.loads(event.to_bytes())
    value = json.dumps({**told, "kind": kind, "data": {**told["data"], **facts}}).encode()
    with pytest.raises(ValueError, match="data"):
        EventHeader.parse_with_facts(value)


def test_rules_that_are_none_are_refused() -> None:
    """A checkpoint is not opened to every reviewer because its rules cannot be read."""
    event = next(e for e in under({"candidates": {"users": ["ann"]}}).history if e.kind == "checkpoint-opened.v1")
    assert RunEvent.parse(event.to_bytes()) == event
    told = json.loads(event.to_bytes())
    for rules in (7, {"candidates": "ann"}, {"approvals_required": 0}):
        value = json.dumps({**told, "data": {**told["data"], "rules": rules}}).encode()
        with pytest.raises(ValueError, match="/data/rules"):
            EventHeader.parse_with_facts(value)
