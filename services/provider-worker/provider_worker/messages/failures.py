"""Words failures for a person, and logs traces for a developer. Shows no secret in either."""

from __future__ import annotations

import traceback

import structlog

from contracts.providers.call import Failure, Issue
from provider_worker.errors import DatabaseUnavailable
from provider_worker.providers.base import ProviderError
from provider_worker.sanitizer import Sanitizer

_log = structlog.get_logger(__name__)


def provider_unknown(name: str, known: list[str]) -> ProviderError:
    """Return the error for a provider name that is not installed."""
    message = f"There is no provider {name[:100]!r}; known are {', '.join(known)}."
    issue = Issue(code="provider_unknown", message=message, path="/provider")
    return ProviderError(Failure(code="provider_unknown", message=message, issues=(issue,)))


def worker_lost_failure() -> Failure:
    """Return the failure of a call that another worker began and did not answer."""
    message = "The worker that began the call is gone. The call may have happened."
    return Failure(code="worker_lost", message=message, retryable=True, uncertain=True)


def failure_of(error: Exception, provider: str, sanitizer: Sanitizer, *, may_have_called: bool) -> Failure:
    """Return the failure that `error` is for the run."""
    match error:
        case ProviderError(failure=failure):
            return _clean(failure, sanitizer)
        case DatabaseUnavailable():
            message = "The database did not answer. Nothing was called."
            return Failure(code="storage_unavailable", message=message, retryable=True)
        case TimeoutError():
            return Failure(code="timeout", message=f"{provider} took too long over the payload.", retryable=True)
        case _:
            log_bug(error, provider, sanitizer)
            called = "The call may have happened." if may_have_called else "Nothing was called."
            message = f"A bug in the provider {provider} ({type(error).__name__}). {called}"
            return Failure(code="provider_bug", message=message, uncertain=may_have_called)


def log_bug(error: Exception, provider: str, sanitizer: Sanitizer) -> None:
    """Log a provider's bug with its trace."""
    trace = sanitizer.text("".join(traceback.format_exception(error)))
    _log.error("provider bug", provider=provider, error=type(error).__name__, trace=trace)


def _clean(failure: Failure, sanitizer: Sanitizer) -> Failure:
    issues = [issue.model_copy(update={"message": sanitizer.text(issue.message)}) for issue in failure.issues]
    return failure.model_copy(update={"message": sanitizer.text(failure.message), "issues": tuple(issues)})
