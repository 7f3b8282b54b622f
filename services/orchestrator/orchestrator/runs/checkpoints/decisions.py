"""Decisions on a checkpoint: approve, edit, reject, and what the configuration decides when the time limit passes."""

from __future__ import annotations

from datetime import timedelta

from contracts.json_values import JsonObject, digest
from contracts.providers.call import Issue
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import OnTimeout, Step
from contracts.runs.views import Checkpoint
from orchestrator.runs.checkpoints.json_patch import diff, merge_patch
from orchestrator.runs.checkpoints.reviews import INTENT_SCHEMA
from orchestrator.runs.checkpoints.schema_check import errors_in, violations
from orchestrator.runs.policy import forcing
from orchestrator.runs.refusals import (
    CheckpointAlreadyDecided,
    CheckpointMismatch,
    NotAllowed,
    StaleCommand,
    SubjectChanged,
    ValidationFailed,
)
from orchestrator.runs.state import Run

MOST_ESCALATIONS = 1
"""Escalations of one checkpoint before the run fails."""


def approve(command: c.ApproveCheckpoint, run: Run) -> e.CheckpointApproved:
    """Approve the subject of the open checkpoint. Raises ValidationFailed if it has errors."""
    checkpoint = _checkpoint(command, run, "approve")
    if errors := errors_in(checkpoint.issues):
        raise ValidationFailed(errors)
    return e.CheckpointApproved(
        checkpoint_id=checkpoint.checkpoint_id,
        step=checkpoint.step,
        subject_sha256=checkpoint.subject_sha256,
        comment=command.comment,
        message=command.message,
    )


def edit(command: c.EditCheckpoint, run: Run) -> e.CheckpointEdited:
    """Change the subject by a merge patch and approve the result. Raises ValidationFailed."""
    checkpoint = _checkpoint(command, run, "edit")
    subject = merge_patch(checkpoint.subject, command.edits)
    changes = diff(checkpoint.subject, subject)
    if issues := _issues_of(subject, checkpoint) or (() if changes else errors_in(checkpoint.issues)):
        raise ValidationFailed(issues)
    return e.CheckpointEdited(
        checkpoint_id=checkpoint.checkpoint_id,
        step=checkpoint.step,
        subject_sha256=digest(subject),
        comment=command.comment,
        message=command.message,
        edits=command.edits,
        subject=subject,
        diff=changes,
    )


def reject(command: c.RejectCheckpoint, run: Run) -> tuple[e.Event, ...]:
    """Reject the subject of the open checkpoint: the run is cancelled with the reason, or fails with the error that was reviewed."""
    checkpoint = _checkpoint(command, run, "reject")
    rejected = e.CheckpointRejected(
        checkpoint_id=checkpoint.checkpoint_id,
        step=checkpoint.step,
        subject_sha256=checkpoint.subject_sha256,
        comment=command.comment,
        message=command.message,
        reason=command.reason,
        reason_code=command.reason_code,
    )
    if run.failed is not None:
        return (rejected, e.RunFailed(error=run.failed.as_error()))
    why = command.reason or command.comment or f"{command.actor} rejected it"
    error = e.RunError(code="rejected", message=why, step=checkpoint.step)
    return (rejected, e.RunCancelled(reason=command.reason, error=error))


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


def _checkpoint(command: c.Decide, run: Run, action: str) -> Checkpoint:
    """Return the open checkpoint that `command` may decide. Raises Refusal."""
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
    """Return True if a time limit must not approve: there is no valid subject, or a check asked for a person."""
    if checkpoint.step is Step.ERROR_REVIEW or errors_in(checkpoint.issues):
        return True
    facts = run.execution if checkpoint.step is Step.RESPONSE_REVIEW else run.preparation
    return facts is not None and bool(forcing(checkpoint.step, facts.signals))
