"""HuggingFace's rules beyond its schema, with their mends: which classifiers take labels, and which need them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.providers.call import Issue

CLASSIFIER = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
"""Knows the labels that it was trained on."""

ZERO_SHOT = "facebook/bart-large-mnli"
"""Takes any labels, and cannot do without."""


def label_issues(payload: Mapping[str, Any]) -> list[Issue]:
    """Name labels that the model does not take, or lacks. Other models than the two on offer are not judged."""
    parameters = payload.get("parameters")
    given = isinstance(parameters, Mapping) and "candidate_labels" in parameters
    match payload.get("model"), given:
        case str() as model, True if model == CLASSIFIER:
            message = f"{model} knows its own labels alone; {ZERO_SHOT} takes any."
            return [_issue("model_does_not_take", message, "/model", {"model": ZERO_SHOT})]
        case str() as model, False if model == ZERO_SHOT:
            message = f"{model} needs the labels to choose from, as the parameter `labels`."
            return [_issue("labels_missing", message, "/parameters/candidate_labels", None)]
    return []


def _issue(code: str, message: str, path: str, fix: dict[str, Any] | None) -> Issue:
    return Issue(code=code, message=message, path=path, suggested_fix=fix, auto_fixable=fix is not None)
