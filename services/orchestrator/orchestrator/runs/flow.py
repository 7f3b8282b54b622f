"""What a run does next by itself: at most one event, until it waits for a person or a worker, or is over.

A command's own events come first, and then the run advances by itself. So each rule stands here once.
"""

from __future__ import annotations

from datetime import datetime

from contracts.json_values import JsonObject, digest
from contracts.providers.call import Issue, Preparation
from contracts.runs import events as e
from contracts.runs.config import Step
from orchestrator.runs.attempts.failures import after_failure
from orchestrator.runs.attempts.orders import order_call, order_check, order_preparation
from orchestrator.runs.checkpoints.json_patch import diff, merge_patch
from orchestrator.runs.checkpoints.reviews import open_information_review, open_payload_review, open_response_review
from orchestrator.runs.checkpoints.schema_check import errors_in, violations
from orchestrator.runs.policy import Pass, Pause, review
from orchestrator.runs.state import Run


def next_event(run: Run, at: datetime) -> e.Event | None:
    """Return the next event of `run` at `at`, or None if the run waits or is over."""
    view, prepared = run.view, run.preparation
    if view.is_over or view.paused or view.checkpoint is not None or run.attempt is not None:
        return None
    if run.failed is not None:
        return after_failure(run, run.failed, at)
    if Step.ERROR_REVIEW in run.cleared and run.response is not None:
        return e.RunCompleted(result=run.response)
    if prepared is None:
        return order_preparation(run, at)
    if run.unchecked is not None:
        return order_check(run, at, step=run.unchecked)
    return (
        _review_information(run, prepared, at)
        or _review_payload(run, prepared, at)
        or _call(run, at)
        or _review_response(run, at)
        or e.RunCompleted(result=run.response or {})
    )


def _review_information(run: Run, prepared: Preparation, at: datetime) -> e.Event | None:
    if Step.INFORMATION_REVIEW in run.cleared:
        return None
    verdict = review(Step.INFORMATION_REVIEW, prepared.signals, run.config)
    if isinstance(verdict, Pause):
        return open_information_review(run, prepared, at, verdict.reasons)
    return _passed(Step.INFORMATION_REVIEW, verdict)


def _review_payload(run: Run, prepared: Preparation, at: datetime) -> e.Event | None:
    if Step.PAYLOAD_REVIEW in run.cleared:
        return None
    if run.asked_again:
        return open_payload_review(run, prepared, at, run.asked_again)
    errors = errors_in(run.issues)
    verdict = review(Step.PAYLOAD_REVIEW, prepared.signals, run.config, invalid=bool(errors))
    if isinstance(verdict, Pause):
        return open_payload_review(run, prepared, at, verdict.reasons)
    return (
        _fix(run)
        or _invalid(errors or violations(run.payload, prepared.payload_schema))
        or _passed(Step.PAYLOAD_REVIEW, verdict)
    )


def _fix(run: Run) -> e.PayloadFixed | None:
    fixes = [issue.automatic_fix for issue in run.issues if issue.automatic_fix is not None]
    if not fixes:
        return None
    payload: JsonObject = run.payload or {}
    for patch in fixes:
        payload = merge_patch(payload, patch)
    return e.PayloadFixed(payload=payload, payload_sha256=digest(payload), diff=diff(run.payload, payload))


def _invalid(issues: tuple[Issue, ...]) -> e.RunFailed | None:
    if not issues:
        return None
    message = f"the payload does not validate: {issues[0].path or '/'}: {issues[0].message}"
    error = e.RunError(code="validation_failed", message=message, step=Step.PAYLOAD_REVIEW, issues=issues)
    return e.RunFailed(error=error)


def _call(run: Run, at: datetime) -> e.Event | None:
    return order_call(run, at) if run.execution is None else None


def _review_response(run: Run, at: datetime) -> e.Event | None:
    execution = run.execution
    if Step.RESPONSE_REVIEW in run.cleared or execution is None:
        return None
    if run.asked_again:
        return open_response_review(run, execution, at, run.asked_again)
    verdict = review(Step.RESPONSE_REVIEW, execution.signals, run.config)
    if isinstance(verdict, Pause):
        return open_response_review(run, execution, at, verdict.reasons)
    return _passed(Step.RESPONSE_REVIEW, verdict)


def _passed(step: Step, verdict: Pass) -> e.StepPassed | None:
    return None if verdict.silent else e.StepPassed(step=step, reasons=verdict.reasons)
