"""What a command does to a run: events, or a refusal. The first rule for every channel, since every channel sends commands."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from contracts.base import JsonObject, digest
from contracts.policy import OnTimeout, Step
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.views import Checkpoint
from contracts.work import Failure, Issue
from orchestrator.run.advance import (
    INTENT_SCHEMA,
    error_of,
    errors_in,
    next_event,
    order_call,
    order_preparation,
)
from orchestrator.run.errors import (
    CheckpointAlreadyDecided,
    CheckpointMismatch,
    IdempotencyKeyReused,
    NotAllowed,
    PreconditionFailed,
    RunAlreadyExists,
    RunNotFound,
    StaleWork,
    SubjectChanged,
    ValidationFailed,
)
from orchestrator.run.evolve import evolve
from orchestrator.run.patch import diff, merge_patch
from orchestrator.run.state import Run, Work, WorkKind
from orchestrator.run.validation import violations

MOST_ESCALATIONS = 1
"""After this many the run fails: a request that nobody answers twice is answered by nobody."""


def decide(command: c.AnyCommand, run: Run | None) -> tuple[e.RunEvent, ...]:
    """Return what `command` makes happen, or nothing if it has taken effect before. Raises Refusal."""
    if run is not None and command.tenant == run.tenant and command.command_id in run.answered:
        known = run.answered[command.command_id].request_sha256
        if known != command.request_sha256:
            raise IdempotencyKeyReused
        return ()
    story = _Story(command, run)
    if isinstance(command, c.StartRun):
        if run is not None:
            raise RunAlreadyExists
        _start(command, story)
    else:
        _check_version(command, story.run)
        _decide(command, story)
    story.advance()
    return tuple(story.events)


class _Story:
    """The events of one decision as they unfold, each in its place, and the run after them."""

    def __init__(self, command: c.AnyCommand, run: Run | None) -> None:
        self._command = command
        self._run = run
        self.events: list[e.RunEvent] = []

    @property
    def run(self) -> Run:
        if self._run is None:
            raise RunNotFound
        return self._run

    @property
    def at(self) -> datetime:
        return self._command.at

    def tell(self, *events: e.Event) -> None:
        """Record events of this command and evolve the run."""
        for event in events:
            self._tell(event, self._command.actor)

    def advance(self) -> None:
        """Record what follows by itself."""
        while (event := next_event(self.run, self.at)) is not None:
            self._tell(event, c.SYSTEM)

    def _tell(self, event: e.Event, actor: str) -> None:
        command, run = self._command, self._run
        owner = command.request if isinstance(command, c.StartRun) else self.run.request
        record = e.RunEvent(
            kind=event.kind,
            run_id=command.run_id,
            version=run.version + 1 if run else 1,
            at=command.at,
            tenant=run.tenant if run else command.tenant,
            user_id=owner.user_id,
            session_id=owner.session_id,
            actor=actor,
            cause=command.command_id,
            request_sha256=command.request_sha256,
            data=event,
        )
        self.events.append(record)
        self._run = evolve(run, record)


def _check_version(command: c.AnyCommand, run: Run) -> None:
    if command.tenant != run.tenant:
        raise RunNotFound
    if command.expected_version is not None and command.expected_version != run.version:
        raise PreconditionFailed(version=run.version, expected=command.expected_version)


def _start(command: c.StartRun, story: _Story) -> None:
    lease = timedelta(seconds=command.request.hitl_config.lease_seconds)
    story.tell(e.RunStarted(request=command.request, work_id=f"{command.run_id}.1", lease_until=command.at + lease))


def _decide(command: c.Decide | c.Control | c.FromWorker | c.FromClock, story: _Story) -> None:
    match command:
        case c.ApproveCheckpoint():
            _approve(command, story)
        case c.EditCheckpoint():
            _edit(command, story)
        case c.RejectCheckpoint():
            _reject(command, story)
        case c.PauseRun() | c.ResumeRun() | c.CancelRun() | c.RetryRun():
            _control(command, story)
        case c.RecordPreparation() | c.RecordExecution() | c.RecordFailure() | c.ExtendLease():
            _record(command, story)
        case c.ExpireLease() | c.RetryWork() | c.ExpireCheckpoint():
            _fall_due(command, story)
        case _:
            assert_never(command)


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


def _approve(command: c.ApproveCheckpoint, story: _Story) -> None:
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


def _edit(command: c.EditCheckpoint, story: _Story) -> None:
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


def _reject(command: c.RejectCheckpoint, story: _Story) -> None:
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


def _control(command: c.Control, story: _Story) -> None:
    run, view = story.run, story.run.view
    match command:
        case c.PauseRun(reason=reason):
            if view.is_over or view.paused:
                raise NotAllowed("pause", view)
            story.tell(e.RunPaused(reason=reason))
        case c.ResumeRun(reason=reason):
            if not view.paused:
                raise NotAllowed("resume", view)
            waited = command.at - (run.paused_at or command.at)
            story.tell(
                e.RunResumed(reason=reason, expires_at=view.checkpoint.expires_at + waited if view.checkpoint else None)
            )
        case c.CancelRun(reason=reason):
            if view.is_over:
                raise NotAllowed("cancel", view)
            story.tell(e.RunCancelled(reason=reason))
        case c.RetryRun(reason=reason):
            if "retry" not in view.pending_actions:
                raise NotAllowed("retry", view)
            checkpoint = view.checkpoint
            story.tell(e.RunRetried(reason=reason, checkpoint_id=checkpoint.checkpoint_id if checkpoint else None))
        case _:
            assert_never(command)


def _awaited(command: c.FromWorker | c.ExpireLease | c.RetryWork, run: Run, *kinds: WorkKind) -> Work:
    """Return the work that the run waits for, if it is this attempt of it; refuse otherwise."""
    work = run.work
    if work is None or (work.work_id, work.attempt) != (command.work_id, command.attempt) or work.kind not in kinds:
        raise StaleWork(f"take an answer to {command.work_id}, attempt {command.attempt}, from", run.view)
    return work


def _record(command: c.FromWorker, story: _Story) -> None:
    run, about = story.run, {"work_id": command.work_id, "attempt": command.attempt}
    match command:
        case c.RecordPreparation(preparation=preparation):
            _in_hands(_awaited(command, run, WorkKind.PREPARE), run)
            story.tell(e.RunPrepared(**about, preparation=preparation))
        case c.RecordExecution(execution=execution):
            _in_hands(_awaited(command, run, WorkKind.CALL), run)
            story.tell(e.CallSucceeded(**about, execution=execution))
        case c.RecordFailure(failure=failure):
            work = _in_hands(_awaited(command, run, *WorkKind), run)
            story.tell(_failed(work, failure))
        case c.ExtendLease():
            _in_hands(_awaited(command, run, *WorkKind), run)
            lease = timedelta(seconds=run.config.lease_seconds)
            story.tell(e.LeaseExtended(**about, lease_until=command.at + lease))
        case _:
            assert_never(command)


def _in_hands(work: Work, run: Run) -> Work:
    if work.lease_until is None:
        raise StaleWork(f"take an answer to {work.work_id} before attempt {work.attempt} is ordered from", run.view)
    return work


def _failed(work: Work, failure: Failure) -> e.Event:
    kind = e.PreparationFailed if work.kind is WorkKind.PREPARE else e.CallFailed
    return kind(work_id=work.work_id, attempt=work.attempt, failure=failure)


def _fall_due(command: c.FromClock, story: _Story) -> None:
    run = story.run
    match command:
        case c.ExpireLease():
            work = _awaited(command, run, *WorkKind)
            if work.lease_until is None or command.at < work.lease_until:
                raise StaleWork("end the lease of", run.view)
            silent = f"no worker said anything for {run.config.lease_seconds:g} s"
            uncertain = work.kind is WorkKind.CALL
            story.tell(_failed(work, Failure(code="worker_lost", message=silent, retryable=True, uncertain=uncertain)))
        case c.RetryWork():
            work = _awaited(command, run, *WorkKind)
            if work.retry_at is None or command.at < work.retry_at or run.view.paused:
                raise StaleWork("try again", run.view)
            _order_again(work, story)
        case c.ExpireCheckpoint():
            _expire(command, story)
        case _:
            assert_never(command)


def _order_again(work: Work, story: _Story) -> None:
    run = story.run
    if work.kind is WorkKind.PREPARE:
        story.tell(order_preparation(run, story.at, work.work_id, work.attempt))
    else:
        story.tell(order_call(run, story.at, work.work_id, work.attempt))


def _expire(command: c.ExpireCheckpoint, story: _Story) -> None:
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
    if then is OnTimeout.APPROVE and checkpoint.step is not Step.ERROR_REVIEW and not errors_in(checkpoint.issues):
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
