"""Signals of a preparation or a response: measurements and findings, and the reasons that policy gives."""

from __future__ import annotations

from operator import not_
from typing import Annotated

from pydantic import Field

from contracts.json_values import JsonObject
from contracts.message import Message

COST_CHECK = "cost"
"""The check that holds calls to budgets."""


class Finding(Message):
    """A finding of a check in a payload or a response. `force` asks for a person whatever the run's policy says.

    `data` says where and how much, and never repeats the text that was found.
    """

    check: str
    code: str
    message: str
    flags: tuple[str, ...] = ()
    force: bool = False
    data: JsonObject = Field(default_factory=dict)


class Signals(Message):
    """A provider's measurements of a preparation or a response, and the findings of checks. None means not measured.

    The flags of the findings are among `safety_flags`.
    """

    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    safety_flags: tuple[str, ...] = ()
    payload_changes: Annotated[int, Field(ge=0)] | None = None
    response_quality: Annotated[float, Field(ge=0, le=1)] | None = None
    findings: tuple[Finding, ...] = Field((), exclude_if=not_)

    @property
    def forced(self) -> tuple[Finding, ...]:
        """The findings that ask for a person whatever the run's policy says."""
        return tuple(finding for finding in self.findings if finding.force)


class Reason(Message):
    """Why policy stopped a run, or let it pass."""

    code: str
    message: str
