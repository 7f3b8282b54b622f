"""The failure that each bad end of a prediction is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contracts.providers.call import Failure
from provider_worker.providers.http.errors.codes import FILTERED_WORDS, asks_again
from provider_worker.providers.http.errors.failures import retry_after
from provider_worker.providers.http.errors.refusal import read_value
from provider_worker.providers.remote_job import RemoteJob, undoubted

_ENDED = ("succeeded", "failed", "canceled", "aborted")


def has_ended(prediction: Mapping[str, Any]) -> bool:
    """Return whether a prediction goes on no more."""
    return prediction.get("status") in _ENDED


PREDICTION = RemoteJob("prediction", "succeed", has_ended)

_PASSING = re.compile(
    r"\((E003|E004|code: PA)\)|\b(E1000|E6716|E8765|E9243)\b|high demand|prediction interrupted", re.IGNORECASE
)
"""Replicate's words and codes for its own trouble: something unknown, a busy service, a model that did not start or was moved."""


def of_end(prediction: Mapping[str, Any]) -> Failure | None:
    """Return the failure of an ended prediction; None where it succeeded.

    Asking about it again would return the same. It is retryable, by another prediction, where Replicate asks for that.
    """
    told = read_value(prediction.get("error") or "")
    reason = told.said
    match prediction.get("status"):
        case "succeeded" if prediction.get("data_removed") is True and prediction.get("output") is None:
            message = "The prediction succeeded, but Replicate has removed its output by now, as it does after an hour."
            return Failure(code="result_expired", message=message)
        case "succeeded":
            return None
        case "canceled":
            message = "The prediction was canceled at Replicate, by a person or by its time limit, before it was done."
            return Failure(code="prediction_canceled", message=message)
        case "aborted":
            message = "Replicate gave the prediction up before it began. It costs nothing."
            return Failure(code="prediction_aborted", message=message)
        case _ if FILTERED_WORDS.search(reason):
            message = f"The model's safety check stopped the prediction: {reason}"
            return Failure(code="content_filtered", message=message)
        case _:
            message = f"The prediction failed: {reason or 'no reason was given.'}"
            again = asks_again(reason) or _PASSING.search(reason) is not None
            wait = retry_after({}, told.wait) if again else None
            return Failure(code="prediction_failed", message=message, retryable=again, retry_after=wait)


def before_the_call(failure: Failure) -> Failure:
    """Return a failure that came while files were uploaded: no prediction was made yet."""
    message = undoubted(failure.message)
    return failure.changed({"message": f"A file could not be sent. Nothing was called. {message}", "uncertain": False})
