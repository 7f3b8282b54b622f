"""Comments on what waits, and who has a draft of a decision. Their author edits and deletes them; an administrator deletes any."""

from __future__ import annotations

from uuid import UUID

from contracts.identity import Right, Role
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.tasks.persons import person_of
from orchestrator.runs.refusals import CommentNotFound, Forbidden, NotAllowed
from orchestrator.runs.state import Comment, Run
from orchestrator.runs.tasks.claims import renewed_by
from orchestrator.runs.tasks.eligibility import check_involved, open_checkpoint, requester_of


def comment(command: c.OnComment, run: Run) -> tuple[e.Event, ...]:
    """Add, edit or delete a comment while the run goes on. A holder's comment renews its claim. Raises Refusal."""
    if run.view.is_over:
        raise NotAllowed("comment on", run.view)
    match command:
        case c.AddComment():
            return (_added(command, run), *renewed_by(command, run))
        case c.EditComment(comment_id=comment_id, text=text):
            _check_author(command, _comment(run, comment_id))
            return (e.CommentEdited(comment_id=comment_id, text=text),)
        case c.DeleteComment(comment_id=comment_id):
            found = _comment(run, comment_id)
            if command.principal is None or not command.principal.has(Role.ADMIN):
                _check_author(command, found)
            return (e.CommentDeleted(comment_id=comment_id, checkpoint_id=found.checkpoint_id),)


def draft(command: c.KeepDraft | c.DropDraft, run: Run) -> tuple[e.Event, ...]:
    """Note that a person has a draft, or has none any more. Nothing is recorded of a draft that is kept again, but a claim is renewed."""
    checkpoint = open_checkpoint(command, run, "draft a decision on")
    check_involved(command, checkpoint.task)
    person, about = person_of(command.principal, command.actor), checkpoint.checkpoint_id
    if isinstance(command, c.DropDraft):
        return (e.DraftDropped(checkpoint_id=about),) if person in run.drafts else ()
    begun = () if person in run.drafts else (e.DraftBegun(checkpoint_id=about),)
    return (*begun, *renewed_by(command, run))


def _added(command: c.AddComment, run: Run) -> e.CommentAdded:
    checkpoint = run.view.checkpoint
    person = person_of(command.principal, command.actor)
    if checkpoint is not None and person != requester_of(run):
        check_involved(command, checkpoint.task)
    if command.answers is not None:
        _comment(run, command.answers)
    return e.CommentAdded(
        comment_id=command.command_id,
        checkpoint_id=checkpoint.checkpoint_id if checkpoint else None,
        text=command.text,
        reply_to=command.answers,
    )


def _comment(run: Run, comment_id: UUID) -> Comment:
    found = run.comments.get(comment_id)
    if found is None or found.deleted:
        raise CommentNotFound(f"there is no comment {comment_id}, or no longer")
    return found


def _check_author(command: c.OnComment, found: Comment) -> None:
    if command.principal is not None and person_of(command.principal, command.actor) != found.by:
        raise Forbidden(command.principal, Right.COMMENT, f"in place of {found.by}")
