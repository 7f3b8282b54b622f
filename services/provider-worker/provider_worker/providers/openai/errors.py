"""What each error of the SDK means for a run."""

from __future__ import annotations

from collections.abc import Mapping

import httpx2
import openai

from contracts.providers.call import Failure
from provider_worker.providers.http.failures import ResponseTooLarge, of_connection, of_event, of_size, of_status


def failure_of(error: openai.OpenAIError | httpx2.HTTPError | ResponseTooLarge) -> Failure:
    """Say what `error` means."""
    match error:
        case ResponseTooLarge():
            return of_size()
        case openai.APIStatusError(status_code=status, body=body):
            said = body.get("message") if isinstance(body, Mapping) else None
            return of_status(status, error.response.headers, said, (error.code, error.type))
        case openai.APIConnectionError():
            return of_connection(error.__cause__)
        case httpx2.HTTPError():  # while a body was read
            return of_connection(error)
        case openai.APIError(body=body):  # what a stream told of
            return of_event(body)
        case _:
            return Failure(code="request_refused", message=f"OpenAI's SDK refused the call ({type(error).__name__}).")
