"""The failure that each bad end of a call through the SDK is.

Refusals are not read by the SDK, which fails on bodies that are no JSON object. HuggingFace says
`{"error": "..."}`, with `estimated_time` while it loads a model; Text Generation Inference adds `error_type`; the router says
`{"error": {"message": "...", "code": "..."}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
from huggingface_hub.errors import InferenceTimeoutError
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # public, but loaded by name

from contracts.providers.call import Failure
from provider_worker.errors import WorkerError
from provider_worker.providers.http.errors.failures import ResponseTooLarge, of_connection, of_refusal, of_size


class Refused(WorkerError):
    """The server answered with a status that is no success. The response has been read."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def failure_of(error: Exception) -> Failure:
    """Return the failure that `error` is: a refusal, an answer too large, or an error of the HTTP library."""
    match error:
        case ResponseTooLarge():
            return of_size()
        case Refused(response=response):
            return _of_refusal(response)
        case InferenceTimeoutError():
            return of_connection(error.__cause__)
        case _:
            return of_connection(error)


def _of_refusal(response: httpx2.Response) -> Failure:
    """Read a refusal with the time to wait that HuggingFace names in headers of its own; `Retry-After` goes before."""
    limits = rate_limit(response.headers) or {}
    seconds = limits["reset_seconds"] if limits.get("remaining_requests") == 0 else None
    return of_refusal(response, {**({} if seconds is None else {"retry-after": str(seconds)}), **response.headers})


def rate_limit(headers: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the limits, or None when nothing is said of them."""
    limit = parse_ratelimit_headers(headers)
    if limit is None:
        return None
    found = {
        "resource": limit.resource_type,
        "limit_requests": limit.limit,
        "remaining_requests": limit.remaining,
        "reset_seconds": limit.reset_in_seconds,
        "window_seconds": limit.window_seconds,
    }
    return {name: value for name, value in found.items() if value is not None}
