"""The open checkpoint as a clerk would keep it: who is asked, what was said, who holds it. Plain bookkeeping, apart from the core's code."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ANYONE: dict[str, Any] = {"users": [], "groups": []}
"""Every reviewer of the tenant is asked."""


@dataclass
class Said:
    """One vote that counts: who said what, in whose place, and at which stage."""

    person: str
    place: str
    action: str
    stage: int
    is_of_before: bool = False
    """Whether others are asked since."""


@dataclass
class Desk:
    """The open checkpoint as a clerk would keep it."""

    rules: dict[str, Any]
    subject: Any
    first: Any
    asked: list[dict[str, Any]]
    needed: list[int]
    stage: int = 0
    said: list[Said] = field(default_factory=list)
    editor: str | None = None
    holder: str | None = None
    until: datetime | None = None
    assignee: str | None = None
    owner: str | None = None
    is_asked_for_help: bool = False
    escalation: dict[str, Any] | None = None

    @property
    def now(self) -> list[Said]:
        """The votes at the present stage."""
        return [one for one in self.said if one.stage == self.stage]

    @property
    def is_last(self) -> bool:
        """Whether no stage follows."""
        return self.stage == len(self.needed) - 1

    def is_enough(self, *actions: str) -> bool:
        """Return whether each stage up to the present one has its approvals, by persons and places that differ."""
        for stage in range(self.stage + 1):
            agreed = [one for one in self.said if one.stage == stage and one.action in actions]
            persons, places = {one.person for one in agreed}, {one.place for one in agreed}
            if min(len(persons), len(places)) < self.needed[stage]:
                return False
        return True

    def is_rejected(self) -> bool:
        """Return whether the rejections suffice."""
        against = {one.place for one in self.now if one.action == "reject"}
        if self.rules["on_reject"] == "veto":
            return bool(against)
        asked, needed = self.asked[self.stage], self.needed[self.stage]
        if asked["groups"] or not asked["users"]:
            return len(against) >= needed
        can_approve = {place for place in asked["users"] if place not in against}
        can_approve |= {one.place for one in self.now if one.action != "reject" and one.is_of_before}
        return bool(against) and len(can_approve) < needed

    def ask(self, asked: dict[str, Any]) -> None:
        """Note who is asked at the present stage."""
        if asked != self.asked[self.stage]:
            for one in self.now:
                one.is_of_before = True
        self.asked[self.stage] = asked
