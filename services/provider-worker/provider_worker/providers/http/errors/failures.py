"""The failure that each bad end of an HTTP call is, for all vendors alike: retryable or not, when, and whether it may have happened.

The same failure comes by four roads: as a status, in the body of a 200, as an event of a stream, or as a number in such an event. It is
read in one place, so its code, its retry and its circuit are the same. A refused call did not happen; a call that broke off or was never
answered may have. Knows no vendor's SDK: their HTTP libraries name their errors alike.
"""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from contracts.providers.call import Failure
from provider_worker.errors import WorkerError
from provider_worker.providers.http.errors.codes import asks_again, is_filtered, is_used_up, status_meant
from provider_worker.providers.http.errors.refusal import READ_BYTES, Refusal, read_body, read_text, read_value
from provider_worker.providers.http.errors.words import without
from provider_worker.providers.payload_schema import at

MAX_RESPONSE_BYTES = 40 * 1024 * 1024
"""So much of an answer is read: a file of the artifact store's usual limit in base64, and as much again in others."""

_LONGEST_WAIT = 3600.0

_GATEWAY_GAVE_UP = (504, 524)
"""A gateway's answer when it waited too long for the server behind it, which may still be at work."""

_BUSY = (408, 409, 424, 425)
"""Statuses that mean not now. 424 is Text Generation Inference's for a generation that failed half-way."""

_UNWRITTEN = {"UnsupportedProtocol", "LocalProtocolError", "InvalidURL"}
_UNCONNECTED = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}
_TIMED_OUT = {"TimeoutException", "TimeoutError"}


class ResponseTooLarge(WorkerError):
    """The answer is larger than is taken."""


def of_size() -> Failure:
    """Return the failure of an answer beyond the bound."""
    message = f"The answer was larger than {MAX_RESPONSE_BYTES} bytes and was not read to its end. It is paid for."
    return Failure(code="response_too_large", message=message)


class Answered(Protocol):
    """A response of `httpx` or `httpx2` whose body was read."""

    @property
    def status_code(self) -> int: ...  # noqa: D102 - named by the class
    @property
    def headers(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def content(self) -> bytes: ...  # noqa: D102
    @property
    def request(self) -> Any: ...  # noqa: D102


def of_refusal(response: Answered, headers: Mapping[str, str] | None = None) -> Failure:
    """Return the failure of an answered refusal. `headers` may say more than the response's own."""
    told = read_body(response.content)
    if not told.said and (named := response.headers.get("x-error-message")):
        told = read_text(named)
    told = replace(told, said=without(told.said, _credentials(response.request.headers)))
    return _failure(response.status_code, response.headers if headers is None else headers, told)


def of_error(error: object, headers: Mapping[str, str] | None = None) -> Failure:
    """Return the failure that a server reports within an answer of 200 or within a stream: the same as by its status.

    The call is known to have failed.
    """
    told = read_value(error)
    return _failure(None, headers or {}, replace(told, said=without(told.said, [])))


def error_in(value: object, *, in_stream: bool = False) -> object | None:
    """Return the error in an answer or an event that has one in place of what was asked for; None where it has none.

    An answer that carries an error beside its content is an answer; an event of a stream that carries one ends it.
    """
    if not isinstance(value, Mapping) or (not in_stream and _is_answer(value)):
        return None
    if value.get("error") or value.get("errors") or value.get("detail"):
        return value
    if "error" in (value.get("object"), value.get("type")):
        return value
    is_named = any(isinstance(value.get(name), str | int) for name in ("code", "status", "type"))
    if isinstance(value.get("message"), str) and is_named and not _is_answer(value):
        return value
    choice = at(value, ["choices", 0])
    return at(choice, ["error"]) or None


def _is_answer(value: Mapping[Any, Any]) -> bool:
    if isinstance(value.get("id"), str) and isinstance(value.get("status"), str) and value.get("object") != "error":
        return True  # a job, which tells its own end
    said = at(value, ["choices", 0, "message", "content"]) or at(value, ["choices", 0, "message", "tool_calls"])
    is_broken = at(value, ["choices", 0, "error"]) and not said
    return not is_broken and any(value.get(name) for name in ("choices", "output", "content", "data", "delta"))


def _failure(answered: int | None, headers: Mapping[str, str], told: Refusal) -> Failure:
    names, said = told.names, told.said
    status = status_meant(answered, names, told.numbers, said)
    nothing = f"The server answered with {status}." if answered else "The server reports an error and gives no reason."
    message = said or nothing
    wait = retry_after(headers, told.wait)
    about: dict[str, Any] = {"status": status, "issues": told.issues}
    match status:
        case 401:
            return Failure(
                code="auth_failed", message=_joined("The server does not accept the worker's key.", said), **about
            )
        case 403:
            return Failure(code="forbidden", message=f"The worker's key may not do this. {message}", **about)
        case _ if status == 402 or is_used_up(names, said, waits=wait is not None):  # noqa: PLR2004 - Payment Required
            return Failure(code="quota_exceeded", message=f"The account's quota is used up. {message}", **about)
        case 429:
            return Failure(code="rate_limited", message=message, retryable=True, retry_after=wait, **about)
        case _ if is_filtered(status, names, said):
            return Failure(code="content_filtered", message=message, **about)
        case _ if status in _GATEWAY_GAVE_UP:
            gave_up = _joined(f"The server's gateway gave up waiting ({status}).", said)
            return Failure(
                code="timeout",
                message=f"{gave_up} The call may have happened.",
                retryable=True,
                uncertain=True,
                **about,
            )
        case _ if status >= 500 or status in _BUSY:  # noqa: PLR2004 - the class of server errors
            return Failure(code="provider_error", message=message, retryable=True, retry_after=wait, **about)
        case _:
            code = "not_found" if status == 404 else "request_refused"  # noqa: PLR2004 - Not Found
            again = asks_again(said)
            return Failure(code=code, message=message, retryable=again, retry_after=wait if again else None, **about)


def _joined(first: str, said: str) -> str:
    return f"{first} {said}" if said else first


def _credentials(headers: Mapping[str, str]) -> list[str]:
    """Return the keys that a request was sent with: a refusal may repeat them."""
    sent = [headers.get("x-api-key", ""), headers.get("authorization", "").rpartition(" ")[2]]
    return [key for key in sent if key]


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


def malformed_event(data: str = "") -> Failure:
    """Return the failure of a stream with an event that is not JSON."""
    return _unreadable("The answer's stream holds an event that is not JSON.", data)


def unended() -> Failure:
    """Return the failure of a stream that ended without its last event."""
    message = "The answer's stream ended before the answer was complete. The call may have happened."
    return Failure(code="connection_lost", message=message, retryable=True, uncertain=True)


def half_heard(failure: Failure) -> Failure:
    """Return a failure that came after the beginning of an answer: that is paid for, so a retry needs a person."""
    if failure.uncertain:
        return failure
    message = f"{failure.message} The answer had begun, and is paid for."
    if not failure.retryable:  # without its status, by which the call would count as one that cost nothing
        return failure.changed({"message": message, "status": None})
    return failure.changed({"message": message, "uncertain": True})


def malformed(body: bytes, status: int | None = None) -> Failure:
    """Return the failure of an answer that is not JSON."""
    message = f"The server answered with {len(body)} bytes that are not JSON."
    return _unreadable(message, body[:READ_BYTES].decode(errors="replace")).changed({"status": status})


def _unreadable(message: str, text: str) -> Failure:
    said = read_text(text).said
    message = _joined(message, said and f"It begins: {said}")
    return Failure(code="malformed_response", message=message, retryable=asks_again(said))


def retry_after(headers: Mapping[str, str], told: float | None = None) -> float | None:
    """Return the seconds to wait that a server named in its headers, in milliseconds, seconds or as a date, else as `told`; at most an hour."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * scale
        except (KeyError, ValueError):
            continue
        if not math.isnan(seconds):
            return min(max(seconds, 0.0), _LONGEST_WAIT)
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    seconds_told = email.utils.mktime_tz(date) - time.time() if date is not None else told
    return None if seconds_told is None else min(max(seconds_told, 0.0), _LONGEST_WAIT)
