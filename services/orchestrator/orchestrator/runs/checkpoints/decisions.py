"""Decisions on a checkpoint: approve, edit, reject, and what the configuration decides when the time limit passes."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from contracts.json_values import JsonObject, digest
from contracts.providers.call import Issue
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.checkpoints import Checkpoint
from contracts.runs.config import OnTimeout, Step
from contracts.runs.tasks.persons import person_of
from contracts.runs.tasks.task import Task, first_stage
from orchestrator.runs.checkpoints.json_patch import diff, merge_patch, patch_between
from orchestrator.runs.checkpoints.reviews import INTENT_SCHEMA
from orchestrator.runs.checkpoints.schema_check import errors_in, violations
from orchestrator.runs.policy import forcing
from orchestrator.runs.refusals import NotAllowed, StaleCommand, SubjectChanged, ValidationFailed
from orchestrator.runs.state import Run
from orchestrator.runs.tasks.eligibility import check_decider, check_successor, decided_on, open_checkpoint
from orchestrator.runs.tasks.votes import Verdict, stage_approved, verdict, vote_of

MOST_ESCALATIONS = 1
"""Escalations of one checkpoint before the run fails."""


def approve(command: c.ApproveCheckpoint, run: Run) -> tuple[e.Event, ...]:
    """Approve the subject of the open checkpoint, or vote for it where several must. Raises ValidationFailed if it has errors."""
    checkpoint = _checkpoint(command, run, "approve")
    check_decider(command, run, checkpoint.task, "approve")
    if errors := errors_in(checkpoint.issues):
        raise ValidationFailed(errors)
    return _agree(command, run, checkpoint, "approve")


def edit(command: c.EditCheckpoint, run: Run) -> tuple[e.Event, ...]:
    """Change the subject by a merge patch, and approve the result or vote for it. Raises ValidationFailed."""
    checkpoint = _checkpoint(command, run, "edit")
    task = checkpoint.task
    check_decider(command, run, task, "edit")
    subject = merge_patch(checkpoint.subject, command.edits)
    changes = diff(checkpoint.subject, subject)
    if issues := _issues_of(subject, checkpoint) or (() if changes else errors_in(checkpoint.issues)):
        raise ValidationFailed(issues)
    edited = e.CheckpointEdited(
        checkpoint_id=checkpoint.checkpoint_id,
        step=checkpoint.step,
        subject_sha256=digest(subject),
        comment=command.comment,
        message=command.message,
        edits=command.edits,
        subject=subject,
        diff=changes,
    )
    if task.is_plain:
        return (edited,)
    # At an error review it enters what came as the result, which no other has approved yet.
    if not changes and "approve" in run.view.pending_actions:
        check_decider(command, run, task, "approve")
        return _agree(command, run, checkpoint, "approve")
    return _revise(command, run, checkpoint, edited)


def reject(command: c.RejectCheckpoint, run: Run) -> tuple[e.Event, ...]:
    """Reject the subject of the open checkpoint: the run is cancelled with the reason, or fails with the error that was reviewed.

    Where a majority rejects, it is a vote. Raises ValidationFailed for a reason code that the rules do not name.
    """
    checkpoint = _checkpoint(command, run, "reject")
    task, person = checkpoint.task, person_of(command.principal, command.actor)
    check_decider(command, run, task, "reject")
    _check_reason_code(command, task)
    rejected = e.CheckpointRejected(
        checkpoint_id=checkpoint.checkpoint_id,
        step=checkpoint.step,
        subject_sha256=checkpoint.subject_sha256,
        comment=command.comment,
        message=command.message,
        reason=command.reason,
        reason_code=command.reason_code,
    )
    vote = () if task.is_plain else (vote_of(command, checkpoint, "reject"),)
    if vote and verdict(task, person, *vote) is not Verdict.REJECTED:
        return vote
    if run.failed is not None:
        return (*vote, rejected, e.RunFailed(error=run.failed.as_error()))
    why = command.reason or command.comment or f"{command.actor} rejected it"
    error = e.RunError(code="rejected", message=why, step=checkpoint.step)
    return (*vote, rejected, e.RunCancelled(reason=command.reason, error=error))


def retry(command: c.RetryRun, run: Run) -> tuple[e.Event, ...]:
    """Try again: after an end, and at an error review as its approval, which several may have to give.

    After an end it takes who might have decided at the last review.
    """
    if (command.checkpoint_id, command.subject_sha256) != (None, None):
        _checkpoint(command, run, "retry")
    checkpoint = run.view.checkpoint
    if "retry" not in run.view.pending_actions:
        raise NotAllowed("retry", run.view)
    if checkpoint is None:
        if run.closed is not None:
            check_successor(command, run, run.closed.task)
        return (e.RunRetried(reason=command.reason),)
    check_decider(command, run, checkpoint.task, "retry")
    return _agree(command, run, checkpoint, "retry")


def _agree(
    command: c.Decide | c.RetryRun, run: Run, checkpoint: Checkpoint, action: Literal["approve", "retry"]
) -> tuple[e.Event, ...]:
    """Return the decision that an approval or a retry is, or the vote that it is where several must agree."""
    task = checkpoint.task
    if task.is_plain and task.revised_by is None:
        return (_agreed(command, run, checkpoint),)
    vote = vote_of(command, checkpoint, action)
    match verdict(task, person_of(command.principal, command.actor), vote):
        case Verdict.APPROVED:
            return (vote, _agreed(command, run, checkpoint))
        case Verdict.STAGE:
            return (vote, stage_approved(checkpoint))
        case _:
            return (vote,)


def _agreed(command: c.Decide | c.RetryRun, run: Run, checkpoint: Checkpoint) -> e.Event:
    about = {"checkpoint_id": checkpoint.checkpoint_id, "step": checkpoint.step}
    if isinstance(command, c.RetryRun):
        return e.RunRetried(reason=command.reason, checkpoint_id=checkpoint.checkpoint_id)
    said = {"subject_sha256": checkpoint.subject_sha256, "comment": command.comment, "message": command.message}
    if run.revision is None:
        return e.CheckpointApproved(**about, **said)
    return e.CheckpointEdited(
        **about, **said, edits=run.revision.edits, subject=checkpoint.subject, diff=run.revision.diff
    )


def _revise(
    command: c.EditCheckpoint, run: Run, checkpoint: Checkpoint, edited: e.CheckpointEdited
) -> tuple[e.Event, ...]:
    """Return the events of an edit where several must agree: votes begin anew, at the first stage, with the editor's own.

    Under four eyes the editor's own does not count. It does not either where it was not for the editor to approve the first stage.
    """
    task, first = checkpoint.task, run.revision
    before = checkpoint.subject if first is None else first.subject
    revised = e.SubjectRevised(
        checkpoint_id=checkpoint.checkpoint_id,
        step=checkpoint.step,
        edits=edited.edits if first is None else patch_between(before, edited.subject),
        subject=edited.subject,
        subject_sha256=edited.subject_sha256,
        diff=diff(before, edited.subject),
        comment=command.comment,
        message=command.message,
    )
    anew = checkpoint.changed(
        {"subject_sha256": edited.subject_sha256, "task": task.changed({"votes": (), **first_stage(task)})}
    )
    counts = not task.four_eyes and anew.task.stage == task.stage
    vote = vote_of(command, anew, "edit", counts=counts)
    if not counts:
        return (revised, vote)
    match verdict(anew.task, person_of(command.principal, command.actor), vote):
        case Verdict.STAGE:
            return (revised, vote, stage_approved(anew))
        case Verdict.APPROVED:
            final = e.CheckpointEdited(**{**edited.__dict__, "edits": revised.edits, "diff": revised.diff})
            return (revised, vote, final)
        case _:
            return (revised, vote)


def _check_reason_code(command: c.RejectCheckpoint, task: Task) -> None:
    code, known = command.reason_code, task.reason_codes
    if code is not None and known and code not in known:
        message = f"{code!r} is none of {', '.join(known)}"
        raise ValidationFailed([Issue(code="enum", path="/reason_code", message=message)])


def on_time_limit(command: c.ExpireCheckpoint, run: Run) -> tuple[e.Event, ...]:
    """Escalate, approve, cancel or fail, as the run's `on_timeout` says. Raises StaleCommand."""
    checkpoint, then = _expired(command, run), run.config.on_timeout
    about = {"checkpoint_id": checkpoint.checkpoint_id, "step": checkpoint.step}
    if then is OnTimeout.ESCALATE and checkpoint.escalations < MOST_ESCALATIONS:
        again = command.at + timedelta(seconds=run.config.timeout_seconds)
        return (e.CheckpointEscalated(**about, expires_at=again),)
    if then is OnTimeout.APPROVE and not _needs_a_person(checkpoint, run):
        subject_sha256 = checkpoint.subject_sha256
        return (e.CheckpointApproved(**about, subject_sha256=subject_sha256, comment="approved by timeout"),)
    expired = e.CheckpointExpired(**about, on_timeout=then)
    if then is OnTimeout.CANCEL:
        return (expired, e.RunCancelled(reason="no decision came in time"))
    message = f"no decision came within {run.config.timeout_seconds:g} s"
    return (expired, e.RunFailed(error=e.RunError(code="checkpoint_timeout", message=message, step=checkpoint.step)))


def _checkpoint(command: c.Decide | c.RetryRun, run: Run, action: str) -> Checkpoint:
    """Return the open checkpoint that `command` may decide. Raises Refusal."""
    checkpoint = open_checkpoint(command, run, action)
    if action not in run.view.pending_actions:
        raise NotAllowed(action, run.view)
    if command.subject_sha256 is not None and command.subject_sha256 != checkpoint.subject_sha256:
        raise decided_on(command, run) or SubjectChanged(subject_sha256=checkpoint.subject_sha256)
    return checkpoint


def _issues_of(subject: JsonObject, checkpoint: Checkpoint) -> tuple[Issue, ...]:
    issues = violations(subject, checkpoint.subject_schema)
    if checkpoint.step is Step.INFORMATION_REVIEW and not issues:
        # A provider's own schema may accept a subject that is not a readable intent.
        return violations(subject, INTENT_SCHEMA)
    return issues


def _expired(command: c.ExpireCheckpoint, run: Run) -> Checkpoint:
    checkpoint = run.view.checkpoint
    if checkpoint is None or checkpoint.checkpoint_id != command.checkpoint_id:
        raise StaleCommand("expire a checkpoint of", run.view)
    if run.view.paused or command.at < checkpoint.expires_at:
        raise StaleCommand("expire, before its time, a checkpoint of", run.view)
    return checkpoint


def _needs_a_person(checkpoint: Checkpoint, run: Run) -> bool:
    """Return True if a time limit must not approve: there is no valid subject, or a check or the rules ask for persons."""
    if checkpoint.step is Step.ERROR_REVIEW or errors_in(checkpoint.issues) or not _is_free(checkpoint.task):
        return True
    facts = run.execution if checkpoint.step is Step.RESPONSE_REVIEW else run.preparation
    return facts is not None and bool(forcing(checkpoint.step, facts.signals))


def _is_free(task: Task) -> bool:
    """Return whether no rule says who or how many must approve."""
    return task.is_plain and task.candidates.is_everyone and task.claim == "optional"
