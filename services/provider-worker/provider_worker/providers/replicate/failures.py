"""The failure that each bad end of a prediction is, and the details of Replicate's refusals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contracts.json_pointer import pointer
from contracts.providers.call import Failure, Issue
from provider_worker.providers.http.failures import of_status
from provider_worker.providers.http.reply import parse_refusal
from provider_worker.providers.payload_schema import MAX_ISSUES, at
from provider_worker.providers.remote_job import RemoteJob, undoubted

_ENDED = ("succeeded", "failed", "canceled", "aborted")


def has_ended(prediction: Mapping[str, Any]) -> bool:
    """Return whether a prediction goes on no more."""
    return prediction.get("status") in _ENDED


PREDICTION = RemoteJob("prediction", "succeed", has_ended)

_LONGEST_MESSAGE = 600
_FILTERED = re.compile(
    r"nsfw|flagged as sensitive|\(E005\)|content (policy|moderation)|safety (filter|checker)", re.IGNORECASE
)


def of_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Return the failure of an answered refusal, by its status and its problem document."""
    problem = parse_refusal(body)
    wait = at(problem, ["retry_after"])
    if isinstance(wait, int | float) and "retry-after" not in headers:
        headers = {**headers, "retry-after": str(wait)}
    said = at(problem, ["detail"]) or at(problem, ["title"])
    failure = of_status(status, headers, said.strip() if isinstance(said, str) else None)
    return failure.changed({"issues": _issues(at(problem, ["invalid_fields"]))})


def of_end(prediction: Mapping[str, Any]) -> Failure | None:
    """Return the failure of an ended prediction; None where it succeeded. Asking again would return the same."""
    reason = str(prediction.get("error") or "").strip()[:_LONGEST_MESSAGE]
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
        case _ if _FILTERED.search(reason):
            return Failure(
                code="content_filtered", message=f"The model's safety check stopped the prediction: {reason}"
            )
        case _:
            return Failure(
                code="prediction_failed", message=f"The prediction failed: {reason or 'no reason was given.'}"
            )


def before_the_call(failure: Failure) -> Failure:
    """Return a failure that came while files were uploaded: no prediction was made yet."""
    message = undoubted(failure.message)
    return failure.changed({"message": f"A file could not be sent. Nothing was called. {message}", "uncertain": False})


def _issues(fields: Any) -> tuple[Issue, ...]:
    found = [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []
    return tuple(
        Issue(
            code="field_refused",
            message=str(field.get("description") or "Replicate refuses it.")[:_LONGEST_MESSAGE],
            path=pointer(str(field.get("field") or "input").split(".")),
        )
        for field in found[:MAX_ISSUES]
    )
