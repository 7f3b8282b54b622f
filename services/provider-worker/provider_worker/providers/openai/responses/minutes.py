"""Which calls take minutes. Says nothing of how they are waited for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from provider_worker.providers.payload_schema import at

_SLOW_MODELS = re.compile(r"deep-research|-pro(-\d{4}-\d{2}-\d{2})?$")
_LONG_EFFORTS = ("high", "xhigh", "max")


def takes_minutes(body: Mapping[str, Any]) -> bool:
    """Say whether a response is made in the background although nothing in the body says so.

    The rule: a model for deep research, one whose name ends in `-pro`, the reasoning mode `pro`, or reasoning with the effort `high` and
    above; never where the body says `background`, `stream` or `store` itself.
    """
    if not {"background", "stream", "store"}.isdisjoint(body):
        return False
    slow = _SLOW_MODELS.search(str(body.get("model"))) is not None
    reasoning = body.get("reasoning")
    return slow or at(reasoning, ["effort"]) in _LONG_EFFORTS or at(reasoning, ["mode"]) == "pro"
