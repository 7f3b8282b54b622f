"""What a failure means for the run: whether the call may have happened, and whether another candidate of the route is better."""

from __future__ import annotations

from contracts.policy import Reason
from contracts.routing import Candidate
from contracts.runs import events as e
from contracts.work import Failure
from orchestrator.run.state import Failed, Run, WorkKind

_OF_THE_ACCOUNT = frozenset({"auth_failed", "quota_exceeded", "forbidden", "provider_unconfigured", "not_found"})
"""Failures that no retry mends, and that say nothing of the request: another provider may well carry it out."""


def is_uncertain(run: Run, failed: Failed) -> bool:
    """Say whether it matters that the call may have happened: not where it can be asked about, or made again without cost or effect."""
    safe = run.resumable is not None or (run.preparation is not None and run.preparation.safe_to_repeat)
    return failed.failure.uncertain and failed.work.kind is WorkKind.CALL and not safe


def fall_back(run: Run, failed: Failed) -> e.RouteFellBack | None:
    """Return that the route turns to another candidate, where there is one and the failure is the provider's own.

    What was refused for its content is not taken elsewhere, and what may have happened is not made again elsewhere.
    """
    prepared, failure = run.preparation, failed.failure
    if prepared is None or prepared.routing is None or failed.work.kind is not WorkKind.CALL:
        return None
    if not prepared.routing.others or failure.uncertain or not _is_the_providers(failure):
        return None
    chosen = Candidate(provider=prepared.provider, model=prepared.model)
    if chosen in run.tried:
        return None
    return e.RouteFellBack(failed=chosen, reason=Reason(code=failure.code, message=failure.message))


def _is_the_providers(failure: Failure) -> bool:
    return failure.retryable or failure.code in _OF_THE_ACCOUNT
