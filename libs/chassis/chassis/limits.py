"""What `SAYSO_LIMITS` may say of a provider. Keeps to none of it: that is the worker's business."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

from chassis.inline_json import from_json

Number = Annotated[int, Field(gt=0, le=1_000_000_000, strict=True)]


class ProviderLimits(BaseModel):
    """What one account of a provider allows all workers together. None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: Number | None = None
    tokens_per_minute: Number | None = None
    concurrency: Number | None = None


Limits = Annotated[dict[str, ProviderLimits], NoDecode, BeforeValidator(from_json)]
"""By the provider's name; given as JSON."""
