"""What each bad end of a response means for a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contracts.work import Failure
from provider_worker.providers.http.failures import of_event

RUNNING = ("queued", "in_progress")

_UNSURE = re.compile(r" ?The call may have happened\.")


def of_end(response: Mapping[str, Any]) -> Failure | None:
    """Say what a response's end means, None where it holds an answer, be it cut short."""
    match response.get("status"):
        case "failed":
            return of_event(response.get("error") or {})
        case "cancelled":
            return Failure(
                code="response_cancelled", message="The response was cancelled at OpenAI before it was done."
            )
    return None if isinstance(response.get("output"), list) else nameless()


def of_known_end(failure: Failure) -> Failure:
    """Say what a failure means that a response ended with in the background: asking again would say the same, and it may be paid for."""
    return failure.changed({"retryable": False, "retry_after": None})


def of_look(failure: Failure) -> Failure:
    """Say what it means that a response could not be looked at: it goes on all the same."""
    match failure.code:
        case "malformed_response":
            return failure.changed({"retryable": True})
        case "auth_failed" | "forbidden":
            message = f"{failure.message} The response was begun before, and may be completed."
            return failure.changed({"message": message, "uncertain": True})
        case "not_found":
            message = "OpenAI does not know the response any more that was begun; it keeps them for minutes. It may be paid for."
            return failure.changed({"message": message})
    return failure


def of_known(failure: Failure, name: str) -> Failure:
    """Say what a failure means that came while a response was watched: its end is not known, and can be asked about."""
    if not failure.retryable:
        return failure
    message = f"{_UNSURE.sub('', failure.message)} Response {name} was begun; the next attempt asks about it."
    return failure.changed({"message": message, "uncertain": True})


def overdue(seconds: float) -> Failure:
    """Say what it means that a response did not end in time."""
    return Failure(code="timeout", message=f"The response did not end within {seconds:g} s.", retryable=True)


def nameless() -> Failure:
    """Say what an answer means that is no response."""
    return Failure(code="malformed_response", message="The server's answer is JSON, but no response.")
