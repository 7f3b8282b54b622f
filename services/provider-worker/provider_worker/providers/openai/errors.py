"""What each error of the SDK means for a run: whether to try again, when, and whether the call may have happened."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import openai

from contracts.work import Failure

MAX_RESPONSE_BYTES = 20 * 1024 * 1024
_LONGEST_MESSAGE = 600
_LONGEST_WAIT = 3600.0

_GATEWAY_GAVE_UP = (504, 524)
"""A gateway's answer when it waited too long for the server behind it, which may still be at work."""

_BUSY = (408, 409, 425)


class ResponseTooLarge(Exception):
    """The answer is larger than is taken."""


def failure_of(error: openai.OpenAIError | ResponseTooLarge) -> Failure:
    """Say what `error` means."""
    match error:
        case ResponseTooLarge():
            message = f"The answer was larger than {MAX_RESPONSE_BYTES} bytes and was not read to its end."
            return Failure(code="response_too_large", message=message)
        case openai.APIStatusError():
            return _of_status(error)
        case openai.APIConnectionError():
            return _of_connection(error.__cause__)
        case _:
            return Failure(code="request_refused", message=f"OpenAI's SDK refused the call ({type(error).__name__}).")


def _of_connection(cause: BaseException | None) -> Failure:
    kind = type(cause).__name__
    match cause:
        case httpx2.UnsupportedProtocol() | httpx2.LocalProtocolError():
            return Failure(
                code="request_refused", message=f"The request could not be written ({kind}); see the settings."
            )
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.PoolTimeout() | httpx2.ProxyError():
            return Failure(code="connection_failed", message=f"No connection to the server ({kind}).", retryable=True)
        case httpx2.TimeoutException():
            code, message = "timeout", "No answer came in time."
        case _:
            code, message = "connection_lost", f"The connection broke before the answer was complete ({kind})."
    return Failure(code=code, message=f"{message} The call may have happened.", retryable=True, uncertain=True)


def _of_status(error: openai.APIStatusError) -> Failure:
    status, said = error.status_code, _said(error)
    match status:
        case 401:
            return Failure(code="auth_failed", message="The server does not accept the worker's key.", status=status)
        case 403:
            return Failure(code="forbidden", message=f"The worker's key may not do this. {said}", status=status)
        case 429 if error.code == "insufficient_quota" or error.type == "insufficient_quota":
            return Failure(code="quota_exceeded", message=f"The account's quota is used up. {said}", status=status)
        case 429:
            wait = retry_after(error.response.headers)
            return Failure(code="rate_limited", message=said, status=status, retryable=True, retry_after=wait)
        case _ if _is_content_filter(error):
            return Failure(code="content_filtered", message=said, status=status)
        case 404:
            return Failure(code="not_found", message=said, status=status)
        case _ if status in _GATEWAY_GAVE_UP:
            message = f"The server's gateway gave up waiting ({status}). The call may have happened."
            return Failure(code="timeout", message=message, status=status, retryable=True, uncertain=True)
        case _ if status >= 500 or status in _BUSY:  # noqa: PLR2004 - the class of server errors
            wait = retry_after(error.response.headers)
            return Failure(code="provider_error", message=said, status=status, retryable=True, retry_after=wait)
        case _:
            return Failure(code="request_refused", message=said, status=status)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait that a server named, in milliseconds, seconds or as a date; at most an hour."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return min(max(float(headers[name]) * scale, 0.0), _LONGEST_WAIT)
        except (KeyError, ValueError):
            continue
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else min(max(email.utils.mktime_tz(date) - time.time(), 0.0), _LONGEST_WAIT)


def _said(error: openai.APIStatusError) -> str:
    body: Any = error.body
    message = body.get("message") if isinstance(body, Mapping) else None
    text = message if isinstance(message, str) and message else f"The server answered with status {error.status_code}."
    return text[:_LONGEST_MESSAGE]


def _is_content_filter(error: openai.APIStatusError) -> bool:
    return error.code in ("content_filter", "content_policy_violation", "moderation_blocked")
