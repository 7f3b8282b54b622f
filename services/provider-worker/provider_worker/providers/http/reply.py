"""The bodies of answers as JSON. What they mean is each vendor's business."""

from __future__ import annotations

import json
from typing import Any

from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.failures import malformed


def parse(body: bytes, status: int | None = None) -> Any:
    """Read an answer as JSON. Raises ProviderError when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderError(malformed(len(body), status)) from error


def parse_refusal(body: bytes) -> Any:
    """Read the body of a refusal, None where it is no JSON: a gateway's page must not hide the status."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
