"""Settings whose value is JSON: one way of reading them, and of refusing what is none."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticCustomError


def from_json(value: Any) -> Any:
    """Read the text of a setting as JSON; what is no text is returned as it is. Raises PydanticCustomError."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise PydanticCustomError("json", "not JSON: {why}", {"why": str(error)}) from None
