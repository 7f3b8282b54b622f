"""What each error of the SDK means for a run."""

from __future__ import annotations

from collections.abc import Mapping

import openai

from contracts.work import Failure
from provider_worker.providers.http.failures import ResponseTooLarge, of_connection, of_size, of_status


def failure_of(error: openai.OpenAIError | ResponseTooLarge) -> Failure:
    """Say what `error` means."""
    match error:
        case ResponseTooLarge():
            return of_size()
        case openai.APIStatusError(status_code=status, body=body):
            said = body.get("message") if isinstance(body, Mapping) else None
            return of_status(status, error.response.headers, said, (error.code, error.type))
        case openai.APIConnectionError():
            return of_connection(error.__cause__)
        case _:
            return Failure(code="request_refused", message=f"OpenAI's SDK refused the call ({type(error).__name__}).")
