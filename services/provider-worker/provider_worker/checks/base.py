"""`Check`: the interface of everything that inspects a payload or a response before it is reviewed.

A check reports findings with their places. It never changes its subject, and never decides: the run's policy does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from chassis.settings import Settings, SettingsError
from contracts.json_pointer import pointer
from contracts.providers.orders import Order
from contracts.providers.signals import Finding
from contracts.validation.faults import explain

CHECKS_SETTING = "SAYSO_CHECKS"


class Stage(StrEnum):
    """The stage of a call: the payload before it, or the response after it."""

    PAYLOAD = "payload"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a check, with its owner. `response` and `cost` are None before the call; money is in US dollars."""

    stage: Stage
    tenant: str
    user_id: str | None
    session_id: str | None
    run_id: UUID
    work_id: str
    provider: str
    model: str | None
    operation: str
    payload: Mapping[str, Any]
    prompt: str | None = None
    response: Mapping[str, Any] | None = None
    estimate: Decimal | None = None
    cost: Decimal | None = None
    budget: Decimal | None = None

    @property
    def looked_at(self) -> Mapping[str, Any]:
        """The value that a person would be shown at this stage."""
        return self.payload if self.response is None else self.response


class Check(ABC):
    """One check. Add one with a class like this in one file and an entry point in the group `sayso.checks`."""

    name: ClassVar[str]
    """Under which the operator and runs ask for it."""

    stages: ClassVar[frozenset[Stage]] = frozenset(Stage)
    """Where it can look."""

    @classmethod
    def from_settings(cls, settings: Settings, options: Mapping[str, Any]) -> Self:  # noqa: ARG003 - for overriding
        """Make the check with the operator's `options`. Raises SettingsError. By default it takes no option."""
        read_options(Options, cls.name, options)
        return cls()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must never appear in an event, a log or an error."""
        return ()

    def applies_to(self, order: Order) -> bool:  # noqa: ARG002 - for overriding
        """Return whether it inspects this order's call. Asked before a subject is made, which copies the payload."""
        return True

    @abstractmethod
    async def look(self, subject: Subject) -> Finding | None:
        """Return a finding in words fit for a person, without repeating the found text; None for none.

        An exception asks for a person, and so does taking too long.
        """

    async def close(self) -> None:
        """Close connections."""
        return


class Options(BaseModel):
    """The options of a check: a subclass names its members, and others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SomeOptions = TypeVar("SomeOptions", bound=Options)


def read_options(kind: type[SomeOptions], check: str, options: Mapping[str, Any]) -> SomeOptions:
    """Read a check's options. Raises SettingsError naming the setting and the place."""
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        raise SettingsError(f"{CHECKS_SETTING}: {explain(error, pointer([check]), kind)}") from None
