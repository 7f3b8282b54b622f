"""Runs checks side by side. A check that fails asks for a person, and the others' findings are kept.

Findings are sanitized for events. Decides nothing.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic_core import to_json

from contracts.providers.call import CallIntent, Failure, Issue
from contracts.providers.orders import CheckOrder, ExecuteOrder, Order, PrepareOrder
from contracts.providers.signals import Finding, Signals
from provider_worker.checks.base import Check, Stage, Subject
from provider_worker.messages.failures import log_bug
from provider_worker.providers.base import ProviderError
from provider_worker.sanitizer import Sanitizer

SECONDS = 10.0
"""How long a check may take."""

_LONGEST_MESSAGE = 1000
_LONGEST_NAME = 200
_MOST_FLAGS = 50
_LARGEST_DATA = 16 * 1024


@dataclass(frozen=True, slots=True)
class ConfiguredCheck:
    """A check as the operator set it up: its stages, and whether it runs always or only for runs that ask for it."""

    check: Check
    stages: frozenset[Stage] = frozenset(Stage)
    only_asked: bool = False

    def runs_at(self, stage: Stage, order: Order) -> bool:
        """Return whether it inspects an order's call at `stage`."""
        return (
            stage in self.stages
            and stage in self.check.stages
            and (not self.only_asked or self.check.name in order.checks)
            and self.check.applies_to(order)
        )


class CheckRunner:
    """The checks that the operator offers."""

    def __init__(self, checks: Sequence[ConfiguredCheck] = (), seconds: float = SECONDS) -> None:
        self._configured = tuple(checks)
        self._seconds = seconds

    def __iter__(self) -> Iterator[Check]:
        return (configured.check for configured in self._configured)

    @property
    def names(self) -> list[str]:
        """The checks that a run may ask for, in order."""
        return sorted(check.name for check in self)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that no event, log or error may show."""
        return tuple(secret for check in self for secret in check.secrets)

    async def close(self) -> None:
        """Close every check's connections."""
        for check in self:
            await check.close()

    def refuse_unknown(self, order: PrepareOrder) -> None:
        """Raise ProviderError `check_unknown` where a run asks for a check that is not offered."""
        for index, name in enumerate(order.checks):
            if name not in self.names:
                message = f"There is no check {name[:100]!r}; on offer are {', '.join(self.names)}."
                issue = Issue(code="check_unknown", message=message, path=f"/hitl_config/checks/{index}")
                raise ProviderError(Failure(code="check_unknown", message=message, issues=(issue,)))

    async def at_payload(
        self,
        order: PrepareOrder | CheckOrder,
        intent: CallIntent,
        payload: dict[str, Any],
        estimate: Decimal | None,
        signals: Signals,
        sanitizer: Sanitizer,
    ) -> Signals:
        """Return `signals` with the checks' findings in a payload; `intent` is settled. Raises nothing."""
        checks = self._checks_at(Stage.PAYLOAD, order)
        if not checks:
            return signals
        subject = Subject(
            stage=Stage.PAYLOAD,
            **_whose(order),
            provider=intent.provider,
            model=intent.model,
            operation=intent.operation or "",
            payload=copy.deepcopy(payload),
            prompt=intent.prompt,
            estimate=estimate,
        )
        return await self._look(checks, subject, signals, sanitizer)

    async def at_response(
        self,
        order: CheckOrder | ExecuteOrder,
        response: dict[str, Any],
        cost: Decimal | None,
        signals: Signals,
        sanitizer: Sanitizer,
    ) -> Signals:
        """Return `signals` with the checks' findings in a response. Raises nothing: the response was paid for."""
        checks = self._checks_at(Stage.RESPONSE, order)
        if not checks:
            return signals
        subject = Subject(
            stage=Stage.RESPONSE,
            **_whose(order),
            provider=order.provider,
            model=order.model,
            operation=order.operation,
            payload=copy.deepcopy(order.payload),
            response=copy.deepcopy(response),
            cost=cost,
        )
        return await self._look(checks, subject, signals, sanitizer)

    def names_at(self, stage: Stage, order: Order) -> tuple[str, ...]:
        """Return the names of the checks that inspect an order's call at `stage`."""
        return tuple(check.name for check in self._checks_at(stage, order))

    def _checks_at(self, stage: Stage, order: Order) -> list[Check]:
        return [configured.check for configured in self._configured if configured.runs_at(stage, order)]

    async def _look(self, checks: Sequence[Check], subject: Subject, signals: Signals, sanitizer: Sanitizer) -> Signals:
        found = await asyncio.gather(*(self._ask(check, subject, sanitizer) for check in checks))
        findings = tuple(finding for finding in found if finding is not None)
        if not findings:
            return signals
        flags = dict.fromkeys((*signals.safety_flags, *(flag for finding in findings for flag in finding.flags)))
        return signals.changed({"safety_flags": tuple(flags), "findings": (*signals.findings, *findings)})

    async def _ask(self, check: Check, subject: Subject, sanitizer: Sanitizer) -> Finding | None:
        try:
            async with asyncio.timeout(self._seconds):
                found = await check.look(subject)
            return None if found is None else _sound(found, check, sanitizer)
        except Exception as error:
            log_bug(error, f"check {check.name}", sanitizer)
            why = f"took longer than {self._seconds:g} s" if isinstance(error, TimeoutError) else type(error).__name__
            message = f"The check {check.name} could not look at the {subject.stage.value} ({why})."
            return Finding(check=check.name, code="check_failed", message=message, force=True)


def _whose(order: Order) -> dict[str, Any]:
    return {
        "tenant": order.tenant,
        "user_id": order.user_id,
        "session_id": order.session_id,
        "run_id": order.run_id,
        "work_id": order.work_id,
        "budget": order.budget,
    }


def _sound(found: Finding, check: Check, sanitizer: Sanitizer) -> Finding:
    """Return a finding as an event can hold it, under its check's own name."""
    data = sanitizer.json(found.data)
    return Finding(
        check=check.name,
        code=sanitizer.text(found.code)[:_LONGEST_NAME],
        message=sanitizer.text(found.message)[:_LONGEST_MESSAGE],
        flags=tuple(sanitizer.text(flag)[:_LONGEST_NAME] for flag in found.flags[:_MOST_FLAGS]),
        force=found.force,
        data=data if len(to_json(data)) <= _LARGEST_DATA else {"left_out": "too large"},
    )
