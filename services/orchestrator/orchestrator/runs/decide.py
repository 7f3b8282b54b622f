"""What a command does to a run: events, or a refusal. The first rule for every channel, since every channel sends commands."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from orchestrator.runs.checkpoints import approve, edit, expire, reject
from orchestrator.runs.commit import Story
from orchestrator.runs.refusals import (
    IdempotencyKeyReused,
    NotAllowed,
    PreconditionFailed,
    RunAlreadyExists,
    RunNotFound,
)
from orchestrator.runs.state import Run
from orchestrator.runs.work import fall_due, record


def decide(command: c.AnyCommand, run: Run | None) -> tuple[RunEvent, ...]:
    """Return what `command` makes happen, or nothing if it has taken effect before. Raises Refusal."""
    return tuple(unfold(command, run).events)


def unfold(command: c.AnyCommand, run: Run | None) -> Story:
    """Decide as `decide` does, and return the run after the events beside them. Raises Refusal."""
    story = Story(command, run)
    if run is not None and command.tenant == run.tenant and command.command_id in run.answered:
        known = run.answered[command.command_id].request_sha256
        if known != command.request_sha256:
            raise IdempotencyKeyReused
        return story
    if isinstance(command, c.StartRun):
        if run is not None:
            raise RunAlreadyExists
        _start(command, story)
    else:
        _check_version(command, story.run)
        _decide(command, story)
    story.advance()
    return story


def _check_version(command: c.AnyCommand, run: Run) -> None:
    if command.tenant != run.tenant:
        raise RunNotFound
    if command.expected_version is not None and command.expected_version != run.version:
        raise PreconditionFailed(version=run.version, expected=command.expected_version)


def _start(command: c.StartRun, story: Story) -> None:
    lease = timedelta(seconds=command.request.hitl_config.lease_seconds)
    story.tell(e.RunStarted(request=command.request, work_id=f"{command.run_id}.1", lease_until=command.at + lease))


def _decide(command: c.Decide | c.Control | c.FromWorker | c.FromClock, story: Story) -> None:
    match command:
        case c.ApproveCheckpoint():
            approve(command, story)
        case c.EditCheckpoint():
            edit(command, story)
        case c.RejectCheckpoint():
            reject(command, story)
        case c.PauseRun() | c.ResumeRun() | c.CancelRun() | c.RetryRun():
            _control(command, story)
        case c.ExpireLease() | c.RetryWork():
            fall_due(command, story)
        case c.ExpireCheckpoint():
            expire(command, story)
        case _:
            record(command, story)


def _control(command: c.Control, story: Story) -> None:
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
