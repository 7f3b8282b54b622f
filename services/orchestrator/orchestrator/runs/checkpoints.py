"""Decisions on a checkpoint: by people, who approve, edit or reject, and by the time limit that passes."""

from __future__ import annotations

from datetime import timedelta

from contracts.json_values import JsonObject, digest
from contracts.providers.call import Issue
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import OnTimeout, Step
from contracts.runs.views import Checkpoint
from orchestrator.runs.commit import Story
from orchestrator.runs.flow import INTENT_SCHEMA, error_of, errors_in
from orchestrator.runs.json_patch import diff, merge_patch
from orchestrator.runs.policy import forcing
from orchestrator.runs.refusals import (
    CheckpointAlreadyDecided,
    CheckpointMismatch,
    NotAllowed,
    StaleWork,
    SubjectChanged,
    ValidationFailed,
)
from orchestrator.runs.schema_check import violations
from orchestrator.runs.state import Run

MOST_ESCALATIONS = 1
"""After this many the run fails: a request that nobody answers twice is answered by nobody."""


def _checkpoint(command: c.Decide, run: Run, action: str) -> Checkpoint:
    """Return the open checkpoint that `command` is about, or refuse."""
    checkpoint, named = run.view.checkpoint, command.checkpoint_id
    if named is not None and (checkpoint is None or named != checkpoint.checkpoint_id):
        if named in run.decided:
            raise CheckpointAlreadyDecided(run.decided[named])
        if checkpoint is not None:
            raise CheckpointMismatch(checkpoint_id=str(checkpoint.checkpoint_id), step=checkpoint.step.value)
    if checkpoint is None or action not in run.view.pending_actions:
        raise NotAllowed(action, run.view)
    if command.subject_sha256 is not None and command.subject_sha256 != checkpoint.subject_sha256:
        raise SubjectChanged(subject_sha256=checkpoint.subject_sha256)
    return checkpoint


def approve(command: c.ApproveCheckpoint, story: Story) -> None:
    """Approve what the open checkpoint shows, if nothing is wrong with it."""
    checkpoint = _checkpoint(command, story.run, "approve")
    if errors := errors_in(checkpoint.issues):
        raise ValidationFailed(errors)
    story.tell(
        e.CheckpointApproved(
            checkpoint_id=checkpoint.checkpoint_id,
            step=checkpoint.step,
            subject_sha256=checkpoint.subject_sha256,
            comment=command.comment,
            message=command.message,
        )
    )


def edit(command: c.EditCheckpoint, story: Story) -> None:
    """Change the subject by a merge patch, validate the result and approve it."""
    checkpoint = _checkpoint(command, story.run, "edit")
    subject = merge_patch(checkpoint.subject, command.edits)
    changes = diff(checkpoint.subject, subject)
    if issues := _wrong_with(subject, checkpoint) or (() if changes else errors_in(checkpoint.issues)):
        raise ValidationFailed(issues)
    story.tell(
        e.CheckpointEdited(
            checkpoint_id=checkpoint.checkpoint_id,
            step=checkpoint.step,
            subject_sha256=digest(subject),
            comment=command.comment,
            message=command.message,
            edits=command.edits,
            subject=subject,
            diff=changes,
        )
    )


def _wrong_with(subject: JsonObject, checkpoint: Checkpoint) -> tuple[Issue, ...]:
    issues = violations(subject, checkpoint.subject_schema)
    if checkpoint.step is Step.INFORMATION_REVIEW and not issues:
        # A provider's own schema may let pass what cannot be read as an intent.
        return violations(subject, INTENT_SCHEMA)
    return issues


def reject(command: c.RejectCheckpoint, story: Story) -> None:
    """Refuse what the open checkpoint shows: the run fails, with the reason."""
    run, checkpoint = story.run, _checkpoint(command, story.run, "reject")
    story.tell(
        e.CheckpointRejected(
            checkpoint_id=checkpoint.checkpoint_id,
            step=checkpoint.step,
            subject_sha256=checkpoint.subject_sha256,
            comment=command.comment,
            message=command.message,
            reason=command.reason,
        )
    )
    if run.failed is not None:
        error = error_of(run.failed)
    else:
        why = command.reason or command.comment or f"{command.actor} rejected it"
        error = e.RunError(code="rejected", message=why, step=checkpoint.step)
    story.tell(e.RunFailed(error=error))


def expire(command: c.ExpireCheckpoint, story: Story) -> None:
    """Do what the run is configured to do when nobody decided in time."""
    run, checkpoint = story.run, story.run.view.checkpoint
    if checkpoint is None or checkpoint.checkpoint_id != command.checkpoint_id:
        raise StaleWork("expire a checkpoint of", run.view)
    if run.view.paused or command.at < checkpoint.expires_at:
        raise StaleWork("expire, before its time, a checkpoint of", run.view)
    about = {"checkpoint_id": checkpoint.checkpoint_id, "step": checkpoint.step}
    then = run.config.on_timeout
    if then is OnTimeout.ESCALATE and checkpoint.escalations < MOST_ESCALATIONS:
        again = command.at + timedelta(seconds=run.config.timeout_seconds)
        story.tell(e.CheckpointEscalated(**about, expires_at=again))
        return
    if then is OnTimeout.APPROVE and not _needs_a_person(checkpoint, run):
        story.tell(
            e.CheckpointApproved(**about, subject_sha256=checkpoint.subject_sha256, comment="approved by timeout")
        )
        return
    story.tell(e.CheckpointExpired(**about, on_timeout=then))
    if then is OnTimeout.CANCEL:
        story.tell(e.RunCancelled(reason="nobody decided in time"))
    else:
        message = f"nobody decided within {run.config.timeout_seconds:g} s"
        story.tell(e.RunFailed(error=e.RunError(code="checkpoint_timeout", message=message, step=checkpoint.step)))


def _needs_a_person(checkpoint: Checkpoint, run: Run) -> bool:
    """Say whether silence cannot approve: nothing is right to approve, or a check has asked for a person."""
    if checkpoint.step is Step.ERROR_REVIEW or errors_in(checkpoint.issues):
        return True
    facts = run.execution if checkpoint.step is Step.RESPONSE_REVIEW else run.preparation
    return facts is not None and bool(forcing(checkpoint.step, facts.signals))
