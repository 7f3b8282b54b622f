"""What follows from a failure: a fallback, a retry, a person, or the end of the run. Knows failures by their codes."""

from __future__ import annotations

from datetime import datetime, timedelta

from contracts.providers.call import Failure
from contracts.providers.signals import COST_CHECK, Finding, Reason
from contracts.runs import events as e
from contracts.runs.config import OnError, OnUncertain, Step
from orchestrator.runs.attempts.orders import spread
from orchestrator.runs.checkpoints.reviews import open_error_review
from orchestrator.runs.state import Changes, Failed, OrderKind, Run

BACKOFF_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 60.0

RETRY_AFTER_MOST_SECONDS = 86_400.0
"""The longest wait that a provider may ask for."""

CALL_GONE = "call_gone"
"""The provider no longer knows a call that it had accepted. Whether the call happened cannot be found out."""

_HELD_BACK = frozenset({"budget_exceeded", "cost_unknown"})
"""Failures of calls that a budget held back. A person may approve the excess."""

_OF_THE_ACCOUNT = frozenset({"auth_failed", "quota_exceeded", "forbidden", "provider_unconfigured", "not_found"})
"""Failures of our account with a provider. No retry helps, but another provider may carry the request out."""

_OURS = frozenset({"storage_unavailable", "worker_lost"})
"""Failures of our own system. They say nothing about the provider."""

_UNASKED = _OURS | {"circuit_open", "provider_unconfigured", "provider_unknown", "payload_mismatch", *_HELD_BACK}
"""Failures of attempts that did not reach the provider."""


def after_failure(run: Run, failed: Failed, at: datetime) -> e.Event:
    """Return the event that deals with a failure."""
    if (fallen_back := _fall_back(run, failed)) is not None:
        return fallen_back
    attempt = failed.attempt
    if _may_repeat(run, failed) and attempt.number < run.config.max_attempts:
        retry_at = at + timedelta(seconds=_wait_seconds(run, failed))
        return e.RetryScheduled(work_id=attempt.work_id, attempt=attempt.number + 1, retry_at=retry_at)
    if _goes_to_a_person(run, failed):
        return open_error_review(run, at, failed, _reason(run, failed))
    return e.RunFailed(error=failed.as_error())


def is_answer(failure: Failure) -> bool:
    """Return True if the provider itself answered: an earlier accepted call is then finished, or lost for good.

    False for failures before the provider was asked, and for those that leave the call's end open.
    """
    return failure.code == CALL_GONE or (not failure.uncertain and failure.code not in _UNASKED)


def is_uncertain(run: Run, failed: Failed) -> bool:
    """Return True if the call may have happened and repeating it could do harm.

    False if the provider can be asked about the call, or if a second call has neither cost nor effect.
    """
    safe = run.resumable is not None or (run.preparation is not None and run.preparation.safe_to_repeat)
    return failed.failure.uncertain and failed.attempt.may_call and not safe


def held_back(run: Run, failure: Failure) -> Changes:
    """Return the changes of a call that a budget held back: the payload goes to a person, with the budget's finding.

    No changes if a person approved the payload over budget before: the failure is then one like any other.
    """
    prepared = run.preparation
    if prepared is None or run.is_over_budget or failure.code not in _HELD_BACK or failure.uncertain:
        return {}
    found = Finding(check=COST_CHECK, code=failure.code, message=failure.message, force=True)
    signals = prepared.signals.changed({"findings": (*prepared.signals.findings, found)})
    return {
        "failed": None,
        "preparation": prepared.changed({"signals": signals}),
        "cleared": run.cleared - {Step.PAYLOAD_REVIEW},
    }


def _fall_back(run: Run, failed: Failed) -> e.RouteFellBack | None:
    """Return the fallback to another candidate of the route, if there is one and the failure is the provider's own.

    A request that was refused for its content goes to no other provider, and neither does a call that may have happened.
    """
    prepared, chosen, failure = run.preparation, run.candidate, failed.failure
    if prepared is None or prepared.routing is None or failed.attempt.kind is not OrderKind.CALL:
        return None
    if not prepared.routing.others or failure.uncertain or run.noted is not None or not _is_the_providers(failure):
        return None
    if chosen is None or chosen in run.tried:
        return None
    return e.RouteFellBack(failed=chosen, reason=Reason(code=failure.code, message=failure.message))


def _is_the_providers(failure: Failure) -> bool:
    return (failure.retryable and failure.code not in _OURS) or failure.code in _OF_THE_ACCOUNT


def _may_repeat(run: Run, failed: Failed) -> bool:
    if is_uncertain(run, failed):
        return run.config.on_uncertain is OnUncertain.RETRY
    return failed.failure.retryable or failed.failure.uncertain


def _goes_to_a_person(run: Run, failed: Failed) -> bool:
    if is_uncertain(run, failed) and run.config.on_uncertain is not OnUncertain.RETRY:
        return run.config.on_uncertain is OnUncertain.REVIEW
    return run.config.errors_go_to() is OnError.REVIEW


def _reason(run: Run, failed: Failed) -> Reason:
    failure, kind, number = failed.failure, failed.attempt.kind.value, failed.attempt.number
    if is_uncertain(run, failed):
        code, what = "call_uncertain", "the call may have happened"
    else:
        code, what = f"{kind}_failed", f"to {kind} failed"
    return Reason(code=code, message=f"{what} ({failure.code}, attempt {number}): {failure.message}")


def _wait_seconds(run: Run, failed: Failed) -> float:
    """Return the seconds before the next attempt: doubled each time, and at least as long as the provider asked for."""
    doubled: float = BACKOFF_SECONDS * 2 ** (failed.attempt.number - 1)
    asked = min(failed.failure.retry_after or 0, RETRY_AFTER_MOST_SECONDS)
    return max(min(doubled, BACKOFF_MOST_SECONDS) * spread(run), asked)
