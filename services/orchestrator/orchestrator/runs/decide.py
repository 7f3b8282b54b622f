"""What a command does to a run: events, or a refusal. All channels send commands, so all keep to these rules."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from orchestrator.runs.attempts.answers import on_lease_end, on_retry_due, on_worker_answer
from orchestrator.runs.checkpoints.decisions import approve, edit, on_time_limit, reject
from orchestrator.runs.commit import Commit
from orchestrator.runs.refusals import (
    IdempotencyKeyReused,
    NewerHistory,
    NotAllowed,
    PreconditionFailed,
    RunAlreadyExists,
    RunNotFound,
)
from orchestrator.runs.state import Run


def decide(command: c.AnyCommand, run: Run | None) -> tuple[RunEvent, ...]:
    """Return the events of `command`, or none if it took effect before. Raises Refusal."""
    return tuple(unfold(command, run).events)


def unfold(command: c.AnyCommand, run: Run | None) -> Commit:
    """Decide as `decide` does, and return the run after the events too. Raises Refusal."""
    commit = Commit(command, run)
    if run is not None and command.tenant == run.tenant:
        if run.newer_kind is not None:
            raise NewerHistory(kind=run.newer_kind)
        if command.command_id in run.answered:
            _check_request(command, run)
            return commit
    if isinstance(command, c.StartRun):
        if run is not None:
            raise RunAlreadyExists
        _start(command, commit)
    else:
        _check_version(command, commit.run)
        _decide(command, commit)
    commit.advance()
    return commit


def _check_request(command: c.AnyCommand, run: Run) -> None:
    if run.answered[command.command_id].request_sha256 != command.request_sha256:
        raise IdempotencyKeyReused


def _check_version(command: c.AnyCommand, run: Run) -> None:
    if command.tenant != run.tenant:
        raise RunNotFound
    if command.expected_version is not None and command.expected_version != run.version:
        raise PreconditionFailed(version=run.version, expected=command.expected_version)


def _start(command: c.StartRun, commit: Commit) -> None:
    lease = timedelta(seconds=command.request.hitl_config.lease_seconds)
    commit.append(e.RunStarted(request=command.request, work_id=f"{command.run_id}.1", lease_until=command.at + lease))


def _decide(command: c.Decide | c.Control | c.FromWorker | c.FromClock, commit: Commit) -> None:
    match command:
        case c.ApproveCheckpoint():
            approve(command, commit)
        case c.EditCheckpoint():
            edit(command, commit)
        case c.RejectCheckpoint():
            reject(command, commit)
        case c.PauseRun() | c.ResumeRun() | c.CancelRun() | c.RetryRun():
            _control(command, commit)
        case c.ExpireLease():
            on_lease_end(command, commit)
        case c.RetryWork():
            on_retry_due(command, commit)
        case c.ExpireCheckpoint():
            on_time_limit(command, commit)
        case _:
            on_worker_answer(command, commit)


def _control(command: c.Control, commit: Commit) -> None:
    run, view = commit.run, commit.run.view
    match command:
        case c.PauseRun(reason=reason):
            if view.is_over or view.paused:
                raise NotAllowed("pause", view)
            commit.append(e.RunPaused(reason=reason))
        case c.ResumeRun(reason=reason):
            if not view.paused:
                raise NotAllowed("resume", view)
            waited = command.at - (run.paused_at or command.at)
            expires_at = view.checkpoint.expires_at + waited if view.checkpoint else None
            commit.append(e.RunResumed(reason=reason, expires_at=expires_at))
        case c.CancelRun(reason=reason):
            if view.is_over:
                raise NotAllowed("cancel", view)
            commit.append(e.RunCancelled(reason=reason))
        case c.RetryRun(reason=reason):
            if "retry" not in view.pending_actions:
                raise NotAllowed("retry", view)
            checkpoint_id = view.checkpoint.checkpoint_id if view.checkpoint else None
            commit.append(e.RunRetried(reason=reason, checkpoint_id=checkpoint_id))
        case _:
            assert_never(command)
