"""Comments of a run, folded from its history. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.persons import person_of

KINDS = frozenset({e.CommentAdded.kind, e.CommentEdited.kind, e.CommentDeleted.kind})
"""The kinds of event that comments are made of."""


class Comment(BaseModel):
    """A comment. A deleted one keeps its place, its author and its times, and has no text."""

    comment_id: UUID
    checkpoint_id: UUID | None
    by: str
    at: datetime
    text: str | None
    reply_to: UUID | None
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    deleted_by: str | None = None


def comments_of(history: Iterable[RunEvent]) -> list[Comment]:
    """Return the comments that a history has, in the order in which they were added."""
    found: dict[UUID, Comment] = {}
    for record in history:
        match record.data:
            case e.CommentAdded() as added:
                found[added.comment_id] = Comment(
                    comment_id=added.comment_id,
                    checkpoint_id=added.checkpoint_id,
                    by=person_of(record.principal, record.actor),
                    at=record.at,
                    text=added.text,
                    reply_to=added.reply_to,
                )
            case e.CommentEdited(comment_id=comment_id, text=text) if comment_id in found:
                found[comment_id] = found[comment_id].model_copy(update={"text": text, "edited_at": record.at})
            case e.CommentDeleted(comment_id=comment_id) if comment_id in found:
                who = person_of(record.principal, record.actor)
                gone = {"text": None, "deleted_at": record.at, "deleted_by": who}
                found[comment_id] = found[comment_id].model_copy(update=gone)
    return list(found.values())
