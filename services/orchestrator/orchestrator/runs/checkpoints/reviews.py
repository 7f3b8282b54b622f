"""The four reviews: the subject that each shows a person, with its schema, issues and context."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from contracts.json_values import JsonObject, digest
from contracts.message import ID_NAMESPACE
from contracts.providers.call import CallIntent, Execution, Issue, Preparation
from contracts.providers.signals import Reason
from contracts.runs import events as e
from contracts.runs.config import Step
from contracts.runs.tasks.task import open_task
from orchestrator.runs.state import Failed, Run

INTENT_SCHEMA: JsonObject = CallIntent.model_json_schema()

RESULT_SCHEMA: JsonObject = {"type": "object", "minProperties": 1}
"""The schema of a result that a person enters for a failed call."""


class _Review(NamedTuple):
    """One request for a decision on `subject`. An edit of the subject must validate under `schema`."""

    step: Step
    reasons: tuple[Reason, ...]
    subject: JsonObject
    schema: JsonObject
    context: JsonObject
    issues: tuple[Issue, ...] = ()


def open_information_review(
    run: Run, prepared: Preparation, at: datetime, reasons: tuple[Reason, ...]
) -> e.CheckpointOpened:
    """Show the intent with the provider, model and operation that the preparation resolved."""
    resolved = run.intent.model_copy(
        update={"provider": prepared.provider, "model": prepared.model, "operation": prepared.operation}
    )
    capabilities = prepared.capabilities and prepared.capabilities.model_dump(mode="json")
    review = _Review(
        Step.INFORMATION_REVIEW,
        reasons,
        subject=resolved.model_dump(mode="json"),
        schema=prepared.intent_schema or INTENT_SCHEMA,
        context={"capabilities": capabilities, **_routing(prepared)},
    )
    return _open(run, at, review)


def open_payload_review(
    run: Run, prepared: Preparation, at: datetime, reasons: tuple[Reason, ...]
) -> e.CheckpointOpened:
    """Show the payload as it is now, with its issues and its price."""
    context = {
        "provider": prepared.provider,
        "model": prepared.model,
        "operation": prepared.operation,
        "estimated_cost": None if prepared.estimate is None else str(prepared.estimate),
        "currency": prepared.currency,
        "signals": prepared.signals.model_dump(mode="json"),
        **_routing(prepared),
    }
    subject, schema = run.payload or {}, prepared.payload_schema
    return _open(run, at, _Review(Step.PAYLOAD_REVIEW, reasons, subject, schema, context, run.issues))


def open_response_review(
    run: Run, execution: Execution, at: datetime, reasons: tuple[Reason, ...]
) -> e.CheckpointOpened:
    """Show the response as it is now, with the provider's raw answer and what it cost."""
    context = execution.model_dump(mode="json", include={"raw", "signals", "usage", "cost", "latency_ms"})
    subject, schema = run.response or {}, execution.response_schema
    return _open(run, at, _Review(Step.RESPONSE_REVIEW, reasons, subject, schema, context))


def open_error_review(run: Run, at: datetime, failed: Failed, reason: Reason) -> e.CheckpointOpened:
    """Show a failure, and what a person can read of the answer where it or a part of it came. An edit of that enters the result by hand."""
    failure, came = failed.failure, failed.failure.received
    context: JsonObject = {
        # The subject shows the response.
        "failure": failure.model_dump(mode="json", exclude={"received": {"response"}}),
        "attempts": failed.attempt.number,
    }
    if run.unchecked is Step.RESPONSE_REVIEW and run.execution is not None:
        subject, schema = run.response or {}, run.execution.response_schema
    else:
        subject, schema = {} if came is None else came.response, RESULT_SCHEMA
        context["payload"] = run.payload  # beside a whole response there may be no room for it
    return _open(run, at, _Review(Step.ERROR_REVIEW, (reason,), subject, schema, context, failure.issues))


def _open(run: Run, at: datetime, review: _Review) -> e.CheckpointOpened:
    rules = run.config.rules_of(review.step)
    return e.CheckpointOpened(
        checkpoint_id=uuid5(NAMESPACE_URL, f"{ID_NAMESPACE}:checkpoint:{run.run_id}:{run.version + 1}"),
        step=review.step,
        reasons=review.reasons,
        subject=review.subject,
        subject_sha256=digest(review.subject),
        subject_schema=review.schema,
        issues=review.issues,
        context=review.context,
        expires_at=at + timedelta(seconds=run.config.timeout_seconds),
        approvals_required=1 if rules is None else open_task(rules, at).approvals_required,
        rules=rules,
        revised_by=run.editors.get(review.step) if rules is not None and rules.four_eyes else None,
    )


def _routing(prepared: Preparation) -> JsonObject:
    return {} if prepared.routing is None else {"routing": prepared.routing.model_dump(mode="json")}
