"""The capabilities of providers: announced on `provider.catalog`, shown at information review and on `GET /providers`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.json_values import JsonObject
from contracts.message import Message


class ModelInfo(Message):
    """One model that a provider offers."""

    name: str
    operations: tuple[str, ...] = ()
    description: str | None = None


class Capabilities(Message):
    """The models and operations that a provider offers."""

    provider: str
    description: str = ""
    tool_names: tuple[str, ...] = Field((), description="Names of agent tools that stand for this provider.")
    operations: tuple[str, ...]
    default_operation: str
    models: tuple[ModelInfo, ...] = ()
    default_model: str | None = None
    any_model: bool = Field(default=False, description="Whether models beyond those listed are accepted.")
    safe_to_repeat: bool = Field(
        default=False, description="Whether a call that may have happened can be made again without cost or effect."
    )
    configured: bool = Field(default=True, description="Whether the worker holds what it needs to call, such as a key.")
    rate_limit: JsonObject | None = None
    circuit: Literal["closed", "open", "half_open"] = Field(
        "closed",
        description="Open: it was down for the last calls and is not asked for a while; half open: one call finds out."
        " Each worker has its own: this is as the one that spoke last sees it.",
    )
