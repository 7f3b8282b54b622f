"""What it means for the run that a budget held its call back: nothing was called, and the payload goes back to a person."""

from __future__ import annotations

from typing import Any

from contracts.providers.signals import COST_CHECK, Finding
from contracts.runs import events as e
from contracts.runs.config import Step
from orchestrator.runs.failures import HELD_BACK
from orchestrator.runs.state import Run


def held_back(run: Run, event: e.CallFailed | e.PreparationFailed) -> dict[str, Any]:
    """Return what a call that a budget held back changes: what the check found then is found of the payload, which waits for a person again.

    Nothing changes where a person has approved the payload over budget before: then the failure is one like any other.
    """
    prepared, failure = run.preparation, event.failure
    if prepared is None or run.is_over_budget or failure.code not in HELD_BACK or failure.uncertain:
        return {}
    found = Finding(check=COST_CHECK, code=failure.code, message=failure.message, force=True)
    signals = prepared.signals.changed({"findings": (*prepared.signals.findings, found)})
    return {
        "failed": None,
        "preparation": prepared.changed({"signals": signals}),
        "cleared": run.cleared - {Step.PAYLOAD_REVIEW},
    }
