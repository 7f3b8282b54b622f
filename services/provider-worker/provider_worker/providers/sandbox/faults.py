"""Faults on request, so that everything a run does about errors can be seen and tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.providers.call import Failure
from provider_worker.providers.base import ProviderError

DEFAULT_RETRY_AFTER = 1.0
DEFAULT_DELAY = 5.0

_FAILURES = {
    "429": Failure(
        code="rate_limited", message="The sandbox was told to say: too many requests.", status=429, retryable=True
    ),
    "500": Failure(code="provider_error", message="The sandbox was told to break.", status=500, retryable=True),
    "timeout": Failure(
        code="timeout",
        message="The sandbox was told not to answer in time. The call may have happened.",
        retryable=True,
        uncertain=True,
    ),
    "refused": Failure(
        code="connection_failed", message="The sandbox was told to refuse the connection.", retryable=True
    ),
    "auth": Failure(code="auth_failed", message="The sandbox was told not to accept the key.", status=401),
    "content_filter": Failure(
        code="content_filtered", message="The sandbox was told to refuse the prompt.", status=400
    ),
}


def active(parameters: Mapping[str, Any], attempt: int) -> str | None:
    """Return the fault that this attempt has."""
    fault, attempts = parameters.get("fault"), parameters.get("fault_attempts")
    if not isinstance(fault, str) or (isinstance(attempts, int) and attempt > attempts):
        return None
    return fault


def delay(parameters: Mapping[str, Any], attempt: int) -> float:
    """Return the seconds that the fault `slow` adds."""
    return float(parameters.get("delay_seconds", DEFAULT_DELAY)) if active(parameters, attempt) == "slow" else 0.0


def fail_as_asked(parameters: Mapping[str, Any], attempt: int) -> None:
    """Raise the ProviderError that was asked for, if one was."""
    failure = _FAILURES.get(active(parameters, attempt) or "")
    if failure is None:
        return
    if failure.status == 429:  # noqa: PLR2004 - the name of a fault
        failure = failure.model_copy(update={"retry_after": float(parameters.get("retry_after", DEFAULT_RETRY_AFTER))})
    raise ProviderError(failure)
