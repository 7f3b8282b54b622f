"""What `SAYSO_ROUTES` may say: by a route's name its rules, of which the first that fits an intent chooses. Chooses nothing itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

from chassis.inline_json import from_json

Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class When(_Said):
    """What an intent must be like for a rule to fit; what is left out does not matter. Lengths are in characters."""

    operation: Name | None = None
    prompt_at_least: Annotated[int, Field(ge=0)] | None = None
    prompt_at_most: Annotated[int, Field(ge=0)] | None = None
    attachments: bool | None = None


class Option(_Said):
    """A provider and model that a rule may choose, and the parameters that it takes beside the intent's own."""

    provider: Name
    model: Name | None = None
    parameters: dict[str, Any] = {}


class RouteRule(_Said):
    """One rule: among these that can be called now, the `first`, or the `cheapest` by its estimate."""

    when: When = When()
    choose: Literal["first", "cheapest"] = "first"
    among: Annotated[tuple[Option, ...], Field(min_length=1, max_length=20)]


Rules = Annotated[tuple[RouteRule, ...], Field(min_length=1, max_length=100)]

Routes = Annotated[dict[Name, Rules], NoDecode, BeforeValidator(from_json)]
"""By the route's name; given as JSON."""
