"""A plan, and what plans have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.clients.desk import Desk, Steps
from chaos.clients.requests import Answer

LONG, SHORT = 600, 1
"""Leases in seconds: one that no plan outlives, and the shortest that there is."""

GONE = ("not_allowed", "checkpoint_already_decided")
"""What a vote is told that came behind the end."""

UNTIL_DECIDED = ("checkpoint_already_decided", "accepted")
"""A refusal for another's claim turns into one of these once a jump of the clock has ended its lease."""


@dataclass(frozen=True)
class Plan:
    """What people do at the payload review of a run, under which rules, and how the run may end."""

    steps: Callable[[Desk], Steps]
    rules: Mapping[str, Any] = field(default_factory=dict)
    ends: tuple[str, ...] = ("completed",)
    timeout_seconds: float = 86_400
    by_key: bool = False
    """Whether it takes people whom their keys identify: groups and absences are not known of an `actor`."""


def users(*names: str) -> dict[str, list[str]]:
    """Return candidates by name."""
    return {"users": list(names)}


def is_open(task: Mapping[str, Any]) -> bool:
    """Return whether no one holds the task."""
    return bool(task["state"] == "open")


def all_accepted(answers: list[Answer]) -> bool:
    """Return whether all requests of a step took effect."""
    return all(answer.accepted for answer in answers)
