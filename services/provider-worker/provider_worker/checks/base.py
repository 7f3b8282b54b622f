"""`Check`: what looks at a payload or a response before it is reviewed, and the words in which it is asked and answers.

A check finds and says where. It never changes what it looks at and never decides what happens next: that is the run's policy.
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
from contracts.message import explain
from contracts.providers.orders import Order
from contracts.providers.signals import Finding

CHECKS_SETTING = "SAYSO_CHECKS"


class Stage(StrEnum):
    """What is looked at: a payload before it is called with, or the response that came back."""

    PAYLOAD = "payload"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a check looks at, and whose it is. `response` and `cost` are None before the call; money is in US dollars."""

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
        """What a person would be shown at this stage."""
        return self.payload if self.response is None else self.response


class Check(ABC):
    """One check. Add one with a class like this in one file and an entry point in the group `sayso.checks`."""

    name: ClassVar[str]
    """Under which the operator and runs ask for it."""

    stages: ClassVar[frozenset[Stage]] = frozenset(Stage)
    """Where it can look."""

    @classmethod
    def from_settings(cls, settings: Settings, options: Mapping[str, Any]) -> Self:  # noqa: ARG003 - for overriding
        """Make the check; `options` is what the operator wrote for it. Raises SettingsError. By default it takes no option."""
        read_options(Options, cls.name, options)
        return cls()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never appear in an event, a log or an error."""
        return ()

    def applies_to(self, order: Order) -> bool:  # noqa: ARG002 - for overriding
        """Return whether it inspects what this order is about. Asked before a subject is made, which copies the payload."""
        return True

    @abstractmethod
    async def look(self, subject: Subject) -> Finding | None:
        """Say what was found, if anything, in words fit for a person and without repeating it.

        Whatever it raises asks for a person, as does taking too long.
        """

    async def close(self) -> None:
        """Let go of connections."""
        return


class Options(BaseModel):
    """What an operator may write for a check: a subclass names its members, and others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SomeOptions = TypeVar("SomeOptions", bound=Options)


def read_options(kind: type[SomeOptions], check: str, options: Mapping[str, Any]) -> SomeOptions:
    """Read a check's options. Raises SettingsError naming the setting and the path of what is wrong."""
    try:
        return kind.model_validate(options)
    except ValidationError as error:
        raise SettingsError(f"{CHECKS_SETTING}: {explain(error, under=pointer([check]))}") from None
