"""What HuggingFace says of the account's limits in the headers of every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # public, but loaded by name


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
