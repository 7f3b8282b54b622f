"""What a failure means for the run: whether the call may have happened, and whether another candidate of the route is better."""

from __future__ import annotations

from contracts.providers.call import Failure
from contracts.providers.routing import Candidate
from contracts.providers.signals import Reason
from contracts.runs import events as e
from orchestrator.runs.state import Failed, Run, WorkKind

_OF_THE_ACCOUNT = frozenset({"auth_failed", "quota_exceeded", "forbidden", "provider_unconfigured", "not_found"})
"""Failures that no retry mends, and that say nothing of the request: another provider may well carry it out."""

HELD_BACK = frozenset({"budget_exceeded", "cost_unknown"})
"""Failures of calls that a budget is short of, or may be: a person can let them pass."""

_OURS = frozenset({"storage_unavailable", "worker_lost"})
"""Failures of our own, which say nothing of the provider."""


_UNASKED = _OURS | {"circuit_open", "provider_unconfigured", "provider_unknown", "payload_mismatch", *HELD_BACK}
"""Failures of attempts in which the provider was not asked at all."""


CALL_GONE = "call_gone"
"""The provider knows the call no more that it had taken: it cannot be asked about, and nobody can know whether it happened."""


def is_answer(failure: Failure) -> bool:
    """Say whether a failure is what the provider says of the call, so that one it had taken before is over too, or can be asked about no more."""
    return failure.code == CALL_GONE or (not failure.uncertain and failure.code not in _UNASKED)


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
    if not prepared.routing.others or failure.uncertain or run.noted is not None or not _is_the_providers(failure):
        return None
    chosen = Candidate(provider=prepared.provider, model=prepared.model)
    if chosen in run.tried:
        return None
    return e.RouteFellBack(failed=chosen, reason=Reason(code=failure.code, message=failure.message))


def _is_the_providers(failure: Failure) -> bool:
    return (failure.retryable and failure.code not in _OURS) or failure.code in _OF_THE_ACCOUNT
