"""The failure that each bad end of a response is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.providers.call import Failure
from provider_worker.providers.http.errors.failures import of_error
from provider_worker.providers.remote_job import RemoteJob

_RUNNING = ("queued", "in_progress", None)


def _has_ended(response: Mapping[str, Any]) -> bool:
    return response.get("status") not in _RUNNING


RESPONSE = RemoteJob("response", "be completed", _has_ended)


def of_end(response: Mapping[str, Any]) -> Failure | None:
    """Return the failure of an ended response; None where it holds an answer, even one that was cut off."""
    match response.get("status"):
        case "failed":
            return of_error(response.get("error") or {})
        case "cancelled":
            return Failure(
                code="response_cancelled", message="The response was cancelled at OpenAI before it was done."
            )
    return None if isinstance(response.get("output"), list) else RESPONSE.nameless()


def of_known_end(failure: Failure) -> Failure:
    """Return the failure of a background response for good: asking again would return the same, and it may be paid for."""
    return failure.changed({"retryable": False, "retry_after": None})
