"""Comments on what waits: answered, edited and deleted, each with a trace."""

from __future__ import annotations

from uuid import UUID

import pytest

from contracts.runs import commands as c
from contracts.runs import events as e
from orchestrator.runs.decide import KEPT_FOR_DECISIONS
from orchestrator.runs.state import MOST_EVENTS
from testkit.runs.commands import approve, at_length, calling, cancel, executed, pause, prepared, start
from testkit.runs.people import ADAM, ANN, ANNS_BOT, AUDREY, BO, CY, GUEST, RITA, ROBERT
from testkit.runs.specification import Ask, Story, given, like
from testkit.runs.tasks import by, claim, comment, task_of, under

OPEN = under({"candidates": {"users": ["ann", "bo"]}})
NOTED = OPEN.given(by(ANN, comment("why so hot?")))
FOREIGN = UUID(int=0xBAD)


def _id(story: Story) -> UUID:
    """Return the id of the last comment."""
    return next(record.data.comment_id for record in reversed(story.history) if isinstance(record.data, e.CommentAdded))


def _edit(comment_id: UUID, text: str = "why?") -> Ask:
    return Ask(c.EditComment, lambda _: {"comment_id": comment_id, "text": text})


def _delete(comment_id: UUID) -> Ask:
    return Ask(c.DeleteComment, lambda _: {"comment_id": comment_id})


def test_a_comment_names_its_checkpoint_and_has_its_commands_id() -> None:
    """So the asker knows it before the answer."""
    outcome = OPEN.when(by(ANN, comment("why so hot?")))
    outcome.then(
        like(e.CommentAdded, comment_id=outcome.command.command_id, checkpoint_id=OPEN.checkpoint_id, reply_to=None)
    )
    outcome.leaves(checkpoint__task__comments=1)


def test_an_answer_names_the_comment_that_it_answers() -> None:
    """One that there is, and that is not deleted."""
    NOTED.when(by(BO, comment("it is winter", answers=_id(NOTED)))).then(like(e.CommentAdded, reply_to=_id(NOTED)))
    NOTED.when(by(BO, comment("it is winter", answers=FOREIGN))).refused_with("comment_not_found")
    gone = NOTED.given(by(ANN, _delete(_id(NOTED))))
    gone.when(by(BO, comment("it is winter", answers=_id(NOTED)))).refused_with("comment_not_found")


def test_who_is_asked_and_who_asked_comment() -> None:
    """Other reviewers, other requesters and those without a role do not."""
    for person in (ANN, BO, RITA, ADAM):
        OPEN.when(by(person, comment())).then(e.CommentAdded)
    OPEN.when(by(CY, comment())).refused_with("not_candidate")
    for person in (ROBERT, AUDREY, GUEST):
        OPEN.when(by(person, comment())).refused_with("forbidden")


def test_where_nothing_waits_the_run_is_commented_on() -> None:
    """Until it is over."""
    calling().when(by(ANN, comment())).then(like(e.CommentAdded, checkpoint_id=None))
    NOTED.given(pause()).when(by(ANN, comment())).then(e.CommentAdded)
    NOTED.given(cancel()).when(by(ANN, comment())).refused_with("not_allowed", state="cancelled")


def test_an_author_edits_and_deletes_by_whichever_key() -> None:
    """The history keeps what it said before."""
    for same in (ANN, ANNS_BOT):
        NOTED.when(by(same, _edit(_id(NOTED)))).then(like(e.CommentEdited, comment_id=_id(NOTED), text="why?"))
        NOTED.when(by(same, _delete(_id(NOTED)))).then(like(e.CommentDeleted, comment_id=_id(NOTED)))


def test_a_comment_of_another_is_not_edited() -> None:
    """An administrator deletes it, and edits it as little as others do: the words are the author's."""
    for person in (BO, ADAM):
        NOTED.when(by(person, _edit(_id(NOTED)))).refused_with("forbidden")
    NOTED.when(by(BO, _delete(_id(NOTED)))).refused_with("forbidden")
    NOTED.when(by(ADAM, _delete(_id(NOTED)))).then(e.CommentDeleted)


def test_a_deleted_comment_is_there_no_more_but_its_trace_is() -> None:
    """It is neither edited nor deleted again."""
    gone = NOTED.given(by(ANN, _delete(_id(NOTED))))
    assert task_of(gone).comments == 0
    assert [record.kind for record in gone.history][-2:] == ["comment-added.v1", "comment-deleted.v1"]
    gone.when(by(ANN, _edit(_id(NOTED)))).refused_with("comment_not_found")
    gone.when(by(ANN, _delete(_id(NOTED)))).refused_with("comment_not_found")
    OPEN.when(by(ANN, _delete(FOREIGN))).refused_with("comment_not_found")


def test_each_checkpoint_counts_its_own_comments() -> None:
    """To delete one of an earlier checkpoint takes none from the next."""
    steps = ("payload_review", "response_review")
    story = given(start(allowed_steps=steps), prepared(), by(ANN, comment("one")))
    first = _id(story)
    story = story.given(approve(), executed(), by(ANN, comment("two")))
    assert task_of(story).comments == 1
    assert task_of(story.given(by(ANN, _delete(first)))).comments == 1
    assert task_of(story.given(by(ANN, _delete(_id(story))))).comments == 0


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a\x00b\x1b[31m\u202e", "x" * 20_000])
def test_a_comment_is_kept_as_text(text: str) -> None:
    """Whatever is in it: how it is shown is the page's business."""
    OPEN.when(by(ANN, comment(text))).then(like(e.CommentAdded, text=text))


@pytest.mark.parametrize("text", ["", "x" * 20_001])
def test_a_comment_has_a_length(text: str) -> None:
    """The command is none, and never decided."""
    with pytest.raises(ValueError, match="text"):
        comment(text).to(OPEN)


def test_a_run_with_too_many_events_takes_no_comment() -> None:
    """What was said can still be deleted. Some are kept for what decides: talk alone fills no run."""
    long = at_length(NOTED, MOST_EVENTS - KEPT_FOR_DECISIONS)
    assert at_length(NOTED, MOST_EVENTS - KEPT_FOR_DECISIONS - 1).when(by(ANN, comment())).refusal is None
    assert long.when(by(ANN, claim())).refusal is None
    long.when(by(ANN, comment())).refused_with("history_too_long")
    long.when(by(ANN, _edit(_id(NOTED)))).refused_with("history_too_long")
    assert long.when(by(ANN, _delete(_id(NOTED)))).refusal is None
