"""What a command does to a run: events, or a refusal. All channels send commands, so all keep to these rules."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from contracts.identity import Principal
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.run_event import RunEvent
from orchestrator.aggregate import Facts
from orchestrator.refusals import IdempotencyKeyReused, NewerHistory
from orchestrator.runs.attempts.answers import on_lease_end, on_retry_due, on_worker_answer, prepared_in_one
from orchestrator.runs.checkpoints.decisions import approve, edit, on_time_limit, reject, retry
from orchestrator.runs.evolve import evolve
from orchestrator.runs.flow import next_event
from orchestrator.runs.policy import needs_no_review
from orchestrator.runs.refusals import (
    HistoryTooLong,
    NotAllowed,
    PreconditionFailed,
    RunAlreadyExists,
    RunNotFound,
)
from orchestrator.runs.rights import check_rights
from orchestrator.runs.state import MOST_EVENTS, Run
from orchestrator.runs.tasks.assignment import assign, delegate, escalate, give_back
from orchestrator.runs.tasks.claims import claim, release
from orchestrator.runs.tasks.comments import comment, draft
from orchestrator.runs.tasks.membership import left, without
from orchestrator.runs.tasks.schedule import pass_time, reschedule

KEPT_FOR_DECISIONS = 200
"""Events, of the most that a run may have, of which none are taken by what is only said of it."""

NOTHING: Facts = {}
"""Nothing is known of voters: their votes stand."""


class Commit:
    """All events of one command, each in its place. The run evolves with each event that is appended."""

    def __init__(self, command: c.AnyCommand, run: Run | None) -> None:
        self._command = command
        self._run = run
        self.events: list[RunEvent] = []

    @property
    def run(self) -> Run:
        """The run after the events so far."""
        assert self._run is not None, "a command is about a run, or starts one"
        return self._run

    def append(self, *events: e.Event, actor: str, principal: Principal | None = None) -> None:
        """Append events that `actor` caused, and `principal` where one is known."""
        for event in events:
            record = self._in_place(event, actor, principal)
            self.events.append(record)
            self._run = evolve(self._run, record)

    def advance(self) -> None:
        """Append the events that the run adds by itself."""
        while (event := next_event(self.run, self._command.at)) is not None:
            self.append(event, actor=c.SYSTEM)

    def _in_place(self, event: e.Event, actor: str, principal: Principal | None) -> RunEvent:
        command, run = self._command, self._run
        owner = command.request if isinstance(command, c.StartRun) else self.run.request
        return RunEvent.of(
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
            principal=principal,
            data=event,
        )


def decide(command: c.AnyCommand, run: Run | None, known: Facts = NOTHING) -> tuple[RunEvent, ...]:
    """Return the events of `command`, or none if it took effect before or all is so already. Raises Refusal.

    `known` are the memberships of voters, as far as they are known (see `tasks/membership.py`).
    """
    return tuple(unfold(command, run, known).events)


def unfold(command: c.AnyCommand, run: Run | None, known: Facts = NOTHING) -> Commit:
    """Decide as `decide` does, and return the run after the events too. Raises Refusal."""
    commit = Commit(command, run)
    if run is not None and command.tenant == run.tenant:
        if run.newer_kind is not None:
            raise NewerHistory(kind=run.newer_kind)
        if command.command_id in run.answered:
            check_rights(command, run)  # what was answered then may be for others now
            _check_request(command, run)
            return commit
    principal = command.principal if isinstance(command, c.Asked) else None
    commit.append(*_counted(command, run, known), actor=command.actor, principal=principal)
    commit.advance()
    return commit


def _check_request(command: c.AnyCommand, run: Run) -> None:
    if run.answered[command.command_id].request_sha256 != command.request_sha256:
        raise IdempotencyKeyReused


def _counted(command: c.AnyCommand, run: Run | None, known: Facts) -> tuple[e.Event, ...]:
    """Return the events of a command; votes of who has left count for none of them, and the vote says so."""
    gone = left(run, known) if known and run is not None else ()
    if run is None or not gone:
        return _events(command, run)
    events = _events(command, without(run, gone))
    return tuple(event.changed({"left": gone}) if isinstance(event, e.VoteCast) else event for event in events)


def _events(command: c.AnyCommand, run: Run | None) -> tuple[e.Event, ...]:
    if isinstance(command, c.StartRun):
        if run is not None:
            raise RunAlreadyExists
        check_rights(command, None)
        return (_started(command),)
    if run is None or command.tenant != run.tenant:
        raise RunNotFound
    check_rights(command, run)
    if command.expected_version is not None and command.expected_version != run.version:
        raise PreconditionFailed(version=run.version, expected=command.expected_version)
    is_said_only = isinstance(command, c.AddComment | c.EditComment | c.KeepDraft)
    most = MOST_EVENTS - KEPT_FOR_DECISIONS if is_said_only else MOST_EVENTS
    if run.version >= most and _leads_back(command, run):
        raise HistoryTooLong
    return _events_of(command, run)


def _leads_back(command: c.AnyCommand, run: Run) -> bool:
    """Return whether a run could go on for ever by this command. Whatever leads to an end stays possible."""
    match command:
        case c.PauseRun() | c.RetryRun() | c.OfTask() | c.AddComment() | c.EditComment():
            return True
        case c.EditCheckpoint():
            if run.view.checkpoint is not None and not run.view.checkpoint.task.is_plain:
                return True  # others vote anew on each edit, and may edit again
            step = run.view.checkpoint and run.view.checkpoint.step
            is_checked = run.execution is not None and bool(run.execution.checks)
            # The next preparation, or the check of the edit, may ask for a person again.
            return step in (Step.INFORMATION_REVIEW, Step.PAYLOAD_REVIEW) or (
                step is Step.RESPONSE_REVIEW and is_checked
            )
    return False


def _started(command: c.StartRun) -> e.RunStarted:
    lease = timedelta(seconds=command.request.hitl_config.lease_seconds)
    return e.RunStarted(
        request=command.request,
        work_id=f"{command.run_id}.1",
        lease_until=command.at + lease,
        parent=command.parent,
        in_one=needs_no_review(command.request.hitl_config),
    )


def _events_of(
    command: c.Decide | c.Control | c.OnTask | c.OnComment | c.FromWorker | c.FromClock, run: Run
) -> tuple[e.Event, ...]:
    match command:
        case c.ApproveCheckpoint():
            return approve(command, run)
        case c.EditCheckpoint():
            return edit(command, run)
        case c.RejectCheckpoint():
            return reject(command, run)
        case c.RetryRun():
            return retry(command, run)
        case c.PauseRun() | c.ResumeRun() | c.CancelRun():
            return (_control(command, run),)
        case c.AddComment() | c.EditComment() | c.DeleteComment():
            return comment(command, run)
        case c.OfTask():
            return _on_task(command, run)
        case c.PassTaskTime():
            return (pass_time(command, run),)
        case c.ExpireLease():
            return (on_lease_end(command, run),)
        case c.RetryWork():
            return (on_retry_due(command, run),)
        case c.ExpireCheckpoint():
            return on_time_limit(command, run)
        case c.RecordPreparation(in_one=True):
            return prepared_in_one(command, run)
        case _:
            return (on_worker_answer(command, run),)


def _on_task(command: c.OnTask, run: Run) -> tuple[e.Event, ...]:
    match command:
        case c.ClaimTask():
            return claim(command, run)
        case c.ReleaseTask():
            return release(command, run)
        case c.AssignTask():
            return (assign(command, run),)
        case c.DelegateTask():
            return (delegate(command, run),)
        case c.ReturnTask():
            return give_back(command, run)
        case c.EscalateTask():
            return (escalate(command, run),)
        case c.RescheduleTask():
            return (reschedule(command, run),)
        case c.KeepDraft() | c.DropDraft():
            return draft(command, run)
        case _:
            assert_never(command)


def _control(command: c.PauseRun | c.ResumeRun | c.CancelRun, run: Run) -> e.Event:
    view = run.view
    match command:
        case c.PauseRun(reason=reason):
            if view.is_over or view.paused:
                raise NotAllowed("pause", view)
            return e.RunPaused(reason=reason)
        case c.ResumeRun(reason=reason):
            if not view.paused:
                raise NotAllowed("resume", view)
            waited = command.at - (run.paused_at or command.at)
            expires_at = view.checkpoint.expires_at + waited if view.checkpoint else None
            return e.RunResumed(reason=reason, expires_at=expires_at)
        case c.CancelRun(reason=reason):
            if view.is_over:
                raise NotAllowed("cancel", view)
            return e.RunCancelled(reason=reason)
        case _:
            assert_never(command)
