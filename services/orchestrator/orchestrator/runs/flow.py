"""What happens next by itself, given all that is known: at most one event, until the run waits for somebody.

Every command records what it brings and then lets the run advance, so a rule stands here once, whatever led to it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from contracts.json_values import JsonObject, digest
from contracts.message import ID_NAMESPACE
from contracts.providers.call import CallIntent, Issue, Preparation, Severity
from contracts.providers.signals import Reason
from contracts.runs import events as e
from contracts.runs.config import OnError, OnUncertain, Step
from orchestrator.runs.failures import fall_back, is_uncertain
from orchestrator.runs.json_patch import diff, merge_patch
from orchestrator.runs.policy import Pass, Pause, review
from orchestrator.runs.schema_check import violations
from orchestrator.runs.state import Failed, Run

BACKOFF_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 60.0

RETRY_AFTER_MOST_SECONDS = 86_400.0
"""How long a provider may ask us to wait."""

INTENT_SCHEMA: JsonObject = CallIntent.model_json_schema()

RESULT_SCHEMA: JsonObject = {"type": "object", "minProperties": 1}
"""What a person may enter as the result of a call that failed."""


def next_event(run: Run, at: datetime) -> e.Event | None:
    """Return what follows for `run` at `at`, or None when it waits for somebody or is over."""
    view = run.view
    if view.is_over or view.paused or view.checkpoint is not None or run.work is not None:
        return None
    if run.failed is not None:
        return _after_failure(run, run.failed, at)
    if Step.ERROR_REVIEW in run.cleared and run.response is not None:
        return e.RunCompleted(result=run.response)
    if run.preparation is None:
        return order_preparation(run, at)
    return (
        _review_information(run, at)
        or _review_payload(run, at)
        or _call(run, at)
        or _review_response(run, at)
        or e.RunCompleted(result=run.response or {})
    )


def order_preparation(run: Run, at: datetime, work_id: str | None = None, attempt: int = 1) -> e.PreparationOrdered:
    """Return the order to prepare, as a new piece of work or as another attempt of one."""
    return e.PreparationOrdered(work_id=work_id or run.next_work_id(), attempt=attempt, lease_until=_lease(run, at))


def order_call(
    run: Run, at: datetime, work_id: str | None = None, attempt: int = 1
) -> e.CallOrdered | e.CheckpointOpened:
    """Return the order to call, as a new piece of work or as another attempt of one.

    Where the payload is not, byte for byte, what a person approved, or goes to somebody else, return the request to look at it again.
    """
    payload_sha256 = digest(run.payload)
    approved = (run.approved_sha256, run.approved_for)
    if run.preparation is not None and approved not in ((None, None), (payload_sha256, run.candidate)):
        reason = Reason(code="subject_changed", message="the payload, or who gets it, is not what was approved")
        return _open_payload_review(run, run.preparation, at, (reason,))
    return e.CallOrdered(
        work_id=work_id or run.next_work_id(),
        attempt=attempt,
        lease_until=_lease(run, at),
        payload_sha256=payload_sha256,
    )


def open_checkpoint(
    run: Run,
    at: datetime,
    step: Step,
    reasons: tuple[Reason, ...],
    subject: JsonObject,
    *,
    schema: JsonObject | None = None,
    issues: tuple[Issue, ...] = (),
    context: JsonObject | None = None,
) -> e.CheckpointOpened:
    """Return the request to a person to decide on `subject`."""
    return e.CheckpointOpened(
        checkpoint_id=uuid5(NAMESPACE_URL, f"{ID_NAMESPACE}:checkpoint:{run.run_id}:{run.version + 1}"),
        step=step,
        reasons=reasons,
        subject=subject,
        subject_sha256=digest(subject),
        subject_schema=schema or {},
        issues=issues,
        context=context or {},
        expires_at=at + timedelta(seconds=run.config.timeout_seconds),
    )


def errors_in(issues: tuple[Issue, ...]) -> tuple[Issue, ...]:
    """Return the issues that stop a call."""
    return tuple(issue for issue in issues if issue.severity is Severity.ERROR)


def _lease(run: Run, at: datetime) -> datetime:
    return at + timedelta(seconds=run.config.lease_seconds)


def _review_information(run: Run, at: datetime) -> e.Event | None:
    if Step.INFORMATION_REVIEW in run.cleared or run.preparation is None:
        return None
    verdict = review(Step.INFORMATION_REVIEW, run.preparation.signals, run.config)
    match verdict:
        case Pass():
            return None if verdict.silent else e.StepPassed(step=Step.INFORMATION_REVIEW, reasons=verdict.reasons)
        case Pause(reasons=reasons):
            prepared = run.preparation
            resolved = run.intent.model_copy(
                update={"provider": prepared.provider, "model": prepared.model, "operation": prepared.operation}
            )
            capabilities = prepared.capabilities and prepared.capabilities.model_dump(mode="json")
            context = {"capabilities": capabilities, **_routing(prepared)}
            return open_checkpoint(
                run,
                at,
                Step.INFORMATION_REVIEW,
                reasons,
                resolved.model_dump(mode="json"),
                schema=prepared.intent_schema or INTENT_SCHEMA,
                context=context,
            )


def _review_payload(run: Run, at: datetime) -> e.Event | None:
    if Step.PAYLOAD_REVIEW in run.cleared or run.preparation is None:
        return None
    prepared, errors = run.preparation, errors_in(run.issues)
    verdict = review(Step.PAYLOAD_REVIEW, prepared.signals, run.config, invalid=bool(errors))
    if isinstance(verdict, Pause):
        return _open_payload_review(run, prepared, at, verdict.reasons)
    fixed = _fix(run)
    if fixed is not None:
        return fixed
    remaining = errors or violations(run.payload, prepared.payload_schema)
    if remaining:
        first = remaining[0]
        message = f"the payload does not validate: {first.path or '/'}: {first.message}"
        error = e.RunError(code="validation_failed", message=message, step=Step.PAYLOAD_REVIEW, issues=remaining)
        return e.RunFailed(error=error)
    return None if verdict.silent else e.StepPassed(step=Step.PAYLOAD_REVIEW, reasons=verdict.reasons)


def _open_payload_review(
    run: Run, prepared: Preparation, at: datetime, reasons: tuple[Reason, ...]
) -> e.CheckpointOpened:
    context = {
        "provider": prepared.provider,
        "model": prepared.model,
        "operation": prepared.operation,
        "estimated_cost": None if prepared.estimate is None else str(prepared.estimate),
        "currency": prepared.currency,
        "signals": prepared.signals.model_dump(mode="json"),
        **_routing(prepared),
    }
    return open_checkpoint(
        run,
        at,
        Step.PAYLOAD_REVIEW,
        reasons,
        run.payload or {},
        schema=prepared.payload_schema,
        issues=run.issues,
        context=context,
    )


def _routing(prepared: Preparation) -> JsonObject:
    return {} if prepared.routing is None else {"routing": prepared.routing.model_dump(mode="json")}


def _fix(run: Run) -> e.PayloadFixed | None:
    fixes = [issue.automatic_fix for issue in run.issues if issue.automatic_fix is not None]
    if not fixes:
        return None
    payload: JsonObject = run.payload or {}
    for patch in fixes:
        payload = merge_patch(payload, patch)
    return e.PayloadFixed(payload=payload, payload_sha256=digest(payload), diff=diff(run.payload, payload))


def _call(run: Run, at: datetime) -> e.Event | None:
    return order_call(run, at) if run.execution is None else None


def _review_response(run: Run, at: datetime) -> e.Event | None:
    if Step.RESPONSE_REVIEW in run.cleared or run.execution is None:
        return None
    execution = run.execution
    verdict = review(Step.RESPONSE_REVIEW, execution.signals, run.config)
    match verdict:
        case Pass():
            return None if verdict.silent else e.StepPassed(step=Step.RESPONSE_REVIEW, reasons=verdict.reasons)
        case Pause(reasons=reasons):
            context = execution.model_dump(mode="json", include={"raw", "signals", "usage", "cost", "latency_ms"})
            return open_checkpoint(
                run,
                at,
                Step.RESPONSE_REVIEW,
                reasons,
                run.response or {},
                schema=execution.response_schema,
                context=context,
            )


def _after_failure(run: Run, failed: Failed, at: datetime) -> e.Event:
    failure, attempt = failed.failure, failed.work.attempt
    if (fallen_back := fall_back(run, failed)) is not None:
        return fallen_back
    if _may_repeat(run, failed) and attempt < run.config.max_attempts:
        asked = min(failure.retry_after or 0, RETRY_AFTER_MOST_SECONDS)
        wait = timedelta(seconds=max(_backoff(run, attempt), asked))
        return e.RetryScheduled(work_id=failed.work.work_id, attempt=attempt + 1, retry_at=at + wait)
    if _goes_to_a_person(run, failed):
        return _open_error_review(run, failed, at)
    return e.RunFailed(error=error_of(failed))


def _may_repeat(run: Run, failed: Failed) -> bool:
    if is_uncertain(run, failed):
        return run.config.on_uncertain is OnUncertain.RETRY
    return failed.failure.retryable or failed.failure.uncertain


def _goes_to_a_person(run: Run, failed: Failed) -> bool:
    if is_uncertain(run, failed) and run.config.on_uncertain is not OnUncertain.RETRY:
        return run.config.on_uncertain is OnUncertain.REVIEW
    return run.config.errors_go_to() is OnError.REVIEW


def _open_error_review(run: Run, failed: Failed, at: datetime) -> e.CheckpointOpened:
    failure, work = failed.failure, failed.work
    if is_uncertain(run, failed):
        code, what = "call_uncertain", "the call may have happened"
    else:
        code, what = f"{work.kind.value}_failed", f"to {work.kind.value} failed"
    reason = Reason(code=code, message=f"{what} ({failure.code}, attempt {work.attempt}): {failure.message}")
    context = {"failure": failure.model_dump(mode="json"), "attempts": work.attempt, "payload": run.payload}
    return open_checkpoint(
        run, at, Step.ERROR_REVIEW, (reason,), {}, schema=RESULT_SCHEMA, issues=failure.issues, context=context
    )


def error_of(failed: Failed) -> e.RunError:
    """Return the run's error for a failure that is final."""
    failure = failed.failure
    return e.RunError(code=failure.code, message=failure.message, issues=failure.issues, attempts=failed.work.attempt)


def _backoff(run: Run, attempt: int) -> float:
    """Seconds before the next attempt: doubling, spread by the run's id so that runs that failed together return apart."""
    spread = 1 + (run.run_id.int % 1000) / 4000
    doubled: float = BACKOFF_SECONDS * 2 ** (attempt - 1)
    return min(doubled, BACKOFF_MOST_SECONDS) * spread
