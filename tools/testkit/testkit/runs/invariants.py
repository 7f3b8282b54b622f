"""The invariants of every run after every command, for specifications and property tests."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from contracts.json_values import digest
from contracts.providers.call_stream import HoldCall, ReleaseBudget, StopCall
from contracts.providers.orders import ExecuteOrder, Order, parse_order
from contracts.providers.signals import COST_CHECK
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.outcomes import Accepted, Refused, parse_outcome, read_answer
from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, State, project, render
from orchestrator.runs import Deadline, Refusal, Run, command_of, evolve, react
from orchestrator.runs.state import OrderKind

API_CODES = frozenset(
    {
        "run_not_found",
        "run_already_exists",
        "forbidden",
        "checkpoint_already_decided",
        "checkpoint_mismatch",
        "subject_changed",
        "not_allowed",
        "validation_failed",
        "idempotency_key_reused",
        "precondition_failed",
        "newer_history",
        "history_too_long",
        "not_candidate",
        "claimed_by_other",
        "not_claimed",
        "delegated",
        "four_eyes",
        "already_voted",
        "comment_not_found",
    }
)


def carry(run: Run | None, view: RunView | None, events: Sequence[RunEvent]) -> tuple[Run, RunView]:
    """Evolve the run and fold the read model's view, each event from its bytes. Bytes lose nothing."""
    for event in events:
        parsed = RunEvent.parse(event.to_bytes())
        assert parsed == event, "an event survives its bytes"
        assert parsed.to_bytes() == event.to_bytes(), "and is written the same again"
        from_bytes = evolve(run, parsed)
        run = evolve(run, event)
        assert from_bytes == run, "the ledger's bytes lead to the same run"
        view = project(view, parsed)
    assert run is not None
    assert view is not None
    return run, view


def check_run(run: Run, view: RunView) -> None:
    """Check that a run's state has a meaning, and that its view is the one that clients read."""
    assert view == run.view, "the read model shows what the orchestrator answers"
    answer = Accepted(command_id=UUID(int=0), run_id=run.run_id, view=view)
    body, headers = answer.to_record()
    assert parse_outcome(body) == answer, "the asker can read the answer"
    assert read_answer(body, dict(headers)) == render(view) == read_answer(body, {}), "and hand it on unread"
    _check_waiting(run)
    _check_actions(view)
    assert (view.state is State.COMPLETED) == (view.result is not None), "completed has a result, and nothing else has"
    _check_error(view)


def _check_error(view: RunView) -> None:
    """Check that a failed run has an error, that a cancelled one has one if it was rejected, and that both can be retried."""
    rejected = view.state is State.CANCELLED and view.error is not None and view.error.code == "rejected"
    assert (view.state is State.FAILED or rejected) == (view.error is not None), "no other run has an error"
    assert not view.is_over or (view.pending_actions == ("retry",)) == (view.error is not None)


def _check_waiting(run: Run) -> None:
    """Check that a run that goes on waits for exactly one of: a person, a worker, the next attempt."""
    view, attempt = run.view, run.attempt
    worker = attempt is not None and attempt.lease_until is not None
    retry = attempt is not None and attempt.retry_at is not None
    waits = [view.checkpoint is not None, worker, retry]
    if view.is_over:
        assert not any(waits), "nothing is awaited when it is over"
        assert not view.paused, "what is over is not paused"
    elif view.paused:
        assert sum(waits) <= 1
    else:
        assert sum(waits) == 1, f"waits for {waits}"
        assert run.failed is None or view.checkpoint is not None, "a failure is dealt with"
    if not view.paused and not view.is_over and view.checkpoint is None and attempt is not None:
        assert view.state is (State.CREATED if attempt.kind is OrderKind.PREPARE else State.API_CALL)
    if run.stopping is not None:
        assert view.state in {State.CANCELLED, State.COMPLETED}, "only a call whose answer is not awaited is to stop"
    _check_deadline(run, worker=worker or run.stopping is not None, other=any(waits) and not view.paused)


def _check_deadline(run: Run, *, worker: bool, other: bool) -> None:
    """Check that the deadline is the one time that the run waits for, and none when it waits for none."""
    due = deadline(run)
    assert (due is not None) == (worker or other)
    match due:
        case c.ExpireLease():
            attempt = run.attempt or run.stopping
            assert attempt is not None
            assert (due.at, due.work_id, due.attempt) == (attempt.lease_until, attempt.work_id, attempt.number)
        case c.RetryWork():
            assert run.attempt is not None
            assert (due.at, due.work_id, due.attempt) == (run.attempt.retry_at, run.attempt.work_id, run.attempt.number)
        case c.ExpireCheckpoint():
            assert run.view.checkpoint is not None
            assert (due.at, due.checkpoint_id) == (run.view.checkpoint.expires_at, run.view.checkpoint.checkpoint_id)


def deadline(run: Run) -> c.FromClock | None:
    """Return the command of the run's deadline, None without one."""
    (message,) = [m for m in react(e.RunPaused(), run) if isinstance(m, Deadline)]
    return command_of(run.run_id, message.due) if message.due else None


def _check_actions(view: RunView) -> None:
    """Check that the pending actions follow from the open checkpoint."""
    checkpoint = view.checkpoint
    if checkpoint is None or view.paused:
        assert not {"approve", "edit", "reject"} & set(view.pending_actions)
        return
    assert checkpoint.subject_sha256 == digest(checkpoint.subject), "the digest is the subject's"
    is_of_error = checkpoint.step is Step.ERROR_REVIEW
    agree = "retry" if is_of_error and checkpoint.task.revised_by is None else "approve"
    assert view.pending_actions == (agree, "edit", "reject"), "what a person entered for a failed call is approved"
    assert view.state in {State.CREATED, State.API_CALL} if is_of_error else view.state.value == checkpoint.step.value


def check_history(history: Sequence[RunEvent], run: Run) -> None:
    """Check versions without gaps, one call at a time, and orders with the approved payload."""
    assert [event.version for event in history] == list(range(1, len(history) + 1))
    assert {(event.run_id, event.tenant) for event in history} == {(run.run_id, run.tenant)}
    unanswered: set[tuple[str, int]] = set()
    approved: str | None = None
    for event in history:
        match event.data:
            case e.CheckpointOpened(subject=subject, subject_sha256=sha):
                assert sha == digest(subject)
            case e.CheckpointApproved() | e.CheckpointEdited() if event.data.step is Step.PAYLOAD_REVIEW:
                approved = event.data.subject_sha256
            case e.RunPrepared(preparation=preparation):
                approved = digest(preparation.payload)
            case e.PayloadFixed(payload=payload, payload_sha256=sha):
                approved = sha
                assert sha == digest(payload)
            case e.CallOrdered() as ordered:
                unanswered.add((ordered.work_id, ordered.attempt))
                assert ordered.payload_sha256 == approved, (
                    "what is called is what was approved, by a person or by policy"
                )
            case e.CallSucceeded() | e.CallFailed() as answered:
                unanswered.remove((answered.work_id, answered.attempt))
            case e.RetryScheduled(waits_for="limit"):
                unanswered.clear()  # the order was given back, claimed by the worker that had no room for it
            case e.CallStopped() as ended:
                unanswered.discard((ended.work_id, ended.attempt))
        assert len(unanswered) <= 1, "one call at a time"
    _check_forced(history)
    _check_orders(history, run, approved)


def _check_forced(history: Sequence[RunEvent]) -> None:
    """Check that a person decides each review that a check or a budget forced, before its subject is used."""
    forced: set[Step] = set()
    over = False
    for event in history:
        match event.data:
            case e.RunPrepared(preparation=preparation):
                forced = {Step.PAYLOAD_REVIEW} if preparation.signals.forced else set()
                over = any(finding.check == COST_CHECK for finding in preparation.signals.forced)
            case e.CallFailed(failure=failure) if (
                failure.code == "budget_exceeded" and not failure.uncertain and not over
            ):
                forced, over = {Step.PAYLOAD_REVIEW}, True
            case e.CallSucceeded(execution=execution):
                forced = {Step.RESPONSE_REVIEW} if execution.signals.forced else set()
            case e.CheckpointApproved(step=step) | e.CheckpointEdited(step=step) if event.actor != c.SYSTEM:
                forced.discard(step)
            case e.RunRetried():
                forced.discard(Step.RESPONSE_REVIEW)
            case e.PreparationOrdered():
                # The checked payload is discarded; the next preparation is checked again.
                forced.discard(Step.PAYLOAD_REVIEW)
            case e.SubjectChecked(step=step, checked=checked, reasons=reasons):
                assert len(reasons) >= len(checked.signals.forced), "a person sees what a check finds in an edit"
                forced |= {step} if reasons else set()
                if step is Step.PAYLOAD_REVIEW:
                    over = any(found.check == COST_CHECK for found in checked.signals.forced)
            case e.StepPassed(step=step):
                assert step not in forced, "policy does not pass what a check has forced"
            case e.CallOrdered() | e.RunCompleted():
                assert not forced, "only a person lets a run go on that a check has stopped"


def _check_orders(history: Sequence[RunEvent], run: Run, approved: str | None) -> None:
    """Check that work in hand has one order with the approved bytes, however often the history is published again."""
    messages = [m for event in history for m in react(event.data, run) if not isinstance(m, Deadline)]
    orders = [m for m in messages if isinstance(m, Order)]
    assert run.view.paused or not any(isinstance(m, HoldCall) for m in messages), "only a pause holds a call"
    _check_stops([m for m in messages if isinstance(m, StopCall)], run)
    assert run.ended is not None or not any(isinstance(m, ReleaseBudget) for m in messages), (
        "a budget is held to the end"
    )
    awaited = run.attempt is not None and run.attempt.lease_until is not None
    is_made_in_one = run.attempt is not None and run.attempt.is_made_in_one
    assert len(orders) == (awaited and not is_made_in_one), "one order for work in hand, none otherwise"
    for order in orders:
        assert run.attempt is not None
        assert (order.work_id, order.attempt, order.deadline) == (
            run.attempt.work_id,
            run.attempt.number,
            run.attempt.lease_until,
        )
        assert parse_order(order.model_dump_json().encode()) == order
        if isinstance(order, ExecuteOrder):
            assert order.payload_sha256 == approved
            assert digest(order.payload) == approved


def _check_stops(stops: Sequence[StopCall], run: Run) -> None:
    """Check that exactly the call of a cancelled run is ordered to stop, until it has ended."""
    assert bool(stops) == (run.stopping is not None)
    for stop in stops:
        assert run.stopping is not None
        assert (stop.work_id, stop.attempt) == (run.stopping.work_id, run.stopping.number)


def check_refusal(command: c.AnyCommand, refusal: Refusal) -> None:
    """Check that a refusal has a code of the API and survives its bytes."""
    assert refusal.code in API_CODES
    answer = Refused(
        command_id=command.command_id,
        run_id=command.run_id,
        code=refusal.code,
        message=refusal.message,
        details=refusal.details,
    )
    assert parse_outcome(answer.model_dump_json().encode()) == answer
