"""The failure that each bad end of an HTTP call is, for all vendors alike: retryable or not, when, and whether it may have happened.

A refused call did not happen; a call that broke off or was never answered may have. Knows no vendor's SDK: their HTTP libraries
name their errors alike.
"""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Collection, Mapping

from contracts.providers.call import Failure
from provider_worker.errors import WorkerError

MAX_RESPONSE_BYTES = 20 * 1024 * 1024

_LONGEST_MESSAGE = 600
_LONGEST_WAIT = 3600.0

_GATEWAY_GAVE_UP = (504, 524)
"""A gateway's answer when it waited too long for the server behind it, which may still be at work."""

_BUSY = (408, 409, 424, 425)
"""Statuses that mean not now. 424 is Text Generation Inference's for a generation that failed half-way."""

_USED_UP = {
    "insufficient_quota",
    "billing_error",
    "billing_hard_limit_reached",
    "credit_balance_too_low",
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "linked_organization_spend_limit_reached",
}
"""Codes that come with 402, 429 or, at Anthropic, 400."""

_FILTERED = {
    "content_filter",
    "content_policy_violation",
    "moderation_blocked",
    "image_content_policy_violation",
    "bio_policy",
    "misalignment_policy_violation",
}

_STATUS_OF_EVENTS = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "request_too_large": 413,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "timeout_error": 504,
}
"""Error codes inside a stream, by the status that they would have had before it. All others are server errors."""

_BEGINNINGS_OF_REFUSALS = ("invalid_", "image_", "unsupported_", "empty_", "failed_to_download")

_UNWRITTEN = {"UnsupportedProtocol", "LocalProtocolError", "InvalidURL"}
_UNCONNECTED = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
_TIMED_OUT = {"TimeoutException", "TimeoutError"}


class ResponseTooLarge(WorkerError):
    """The answer is larger than is taken."""


def of_size() -> Failure:
    """Return the failure of an answer beyond the bound."""
    message = f"The answer was larger than {MAX_RESPONSE_BYTES} bytes and was not read to its end."
    return Failure(code="response_too_large", message=message)


def of_status(
    status: int, headers: Mapping[str, str], message: object = None, codes: Collection[object] = ()
) -> Failure:
    """Return the failure of an answered refusal. `codes` are the vendor's names for it."""
    said = message[:_LONGEST_MESSAGE] if isinstance(message, str) and message else f"The server answered with {status}."
    match status:
        case 401:
            return Failure(code="auth_failed", message="The server does not accept the worker's key.", status=status)
        case 403:
            return Failure(code="forbidden", message=f"The worker's key may not do this. {said}", status=status)
        case _ if status == 402 or not _USED_UP.isdisjoint(codes):  # noqa: PLR2004 - Payment Required
            return Failure(code="quota_exceeded", message=f"The account's quota is used up. {said}", status=status)
        case 429:
            wait = retry_after(headers)
            return Failure(code="rate_limited", message=said, status=status, retryable=True, retry_after=wait)
        case _ if not _FILTERED.isdisjoint(codes):
            return Failure(code="content_filtered", message=said, status=status)
        case 404:
            return Failure(code="not_found", message=said, status=status)
        case _ if status in _GATEWAY_GAVE_UP:
            message = f"The server's gateway gave up waiting ({status}). The call may have happened."
            return Failure(code="timeout", message=message, status=status, retryable=True, uncertain=True)
        case _ if status >= 500 or status in _BUSY:  # noqa: PLR2004 - the class of server errors
            wait = retry_after(headers)
            return Failure(code="provider_error", message=said, status=status, retryable=True, retry_after=wait)
        case _:
            return Failure(code="request_refused", message=said, status=status)


def of_connection(cause: BaseException | None) -> Failure:
    """Return the failure of a call without an answer, by the error of the HTTP library."""
    names = {kind.__name__ for kind in type(cause).__mro__}
    name = type(cause).__name__
    if names & _UNWRITTEN:
        return Failure(code="request_refused", message=f"The request could not be written ({name}); see the settings.")
    if names & _UNCONNECTED:
        return Failure(code="connection_failed", message=f"No connection to the server ({name}).", retryable=True)
    if names & _TIMED_OUT:
        code, message = "timeout", "No answer came in time."
    else:
        code, message = "connection_lost", f"The connection broke before the answer was complete ({name})."
    return Failure(code=code, message=f"{message} The call may have happened.", retryable=True, uncertain=True)


def malformed_event() -> Failure:
    """Return the failure of a stream with an event that is not JSON."""
    return Failure(code="malformed_response", message="The answer's stream holds an event that is not JSON.")


def of_event(error: object) -> Failure:
    """Return the failure of a stream in which the server reports an error: the call is known to have failed."""
    told = error if isinstance(error, Mapping) else {"message": error}
    codes = [code for name in ("code", "type") if isinstance(code := told.get(name), str)]
    usual = 400 if any(code.startswith(_BEGINNINGS_OF_REFUSALS) for code in codes) else 500
    status = next((_STATUS_OF_EVENTS[code] for code in codes if code in _STATUS_OF_EVENTS), usual)
    said = told.get("message")
    message = said if isinstance(said, str) and said else "The server broke off its answer and gave no reason."
    return of_status(status, {}, message, codes).changed({"status": None})


def unended() -> Failure:
    """Return the failure of a stream that ended without its last event."""
    message = "The answer's stream ended before the answer was complete. The call may have happened."
    return Failure(code="connection_lost", message=message, retryable=True, uncertain=True)


def half_heard(failure: Failure) -> Failure:
    """Return a failure that came after the beginning of an answer: that is paid for, so a retry needs a person."""
    if failure.uncertain or not failure.retryable:
        return failure
    message = f"{failure.message} The answer had begun, and is paid for."
    return failure.changed({"message": message, "uncertain": True})


def malformed(size: int, status: int | None = None) -> Failure:
    """Return the failure of an answer that is not JSON."""
    return Failure(
        code="malformed_response", message=f"The server answered with {size} bytes that are not JSON.", status=status
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that a server named, in milliseconds, seconds or as a date; at most an hour."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if not math.isnan(seconds):
            return min(max(seconds, 0.0), _LONGEST_WAIT)
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else min(max(email.utils.mktime_tz(date) - time.time(), 0.0), _LONGEST_WAIT)
