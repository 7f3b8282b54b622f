"""The rules of a review: who is asked, how many must agree, by when, and what happens when no person comes."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import to_json

from contracts.json_pointer import wrong_at
from contracts.message import Message, StoredIdentifier, Timestamp

MOST_NAMES = 100
"""Persons, and groups, that one rule names."""

MOST_RULES_BYTES = 64 * 1024
"""One review's rules as JSON. They stand in events and, by parts, more than once in a run's view, which must fit a record."""

Names = Annotated[tuple[StoredIdentifier, ...], Field(max_length=MOST_NAMES, fail_fast=True)]
Count = Annotated[int, Field(ge=1, le=100)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Priority = Annotated[int, Field(ge=0, le=100)]
Date = Annotated[Timestamp, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(3000, 1, 1, tzinfo=UTC))]
"""A date that a person sets. Near the bounds of the calendar neither another zone's time nor a sum could be computed."""


class Candidates(Message):
    """Who may decide: these persons, and the members of these groups. Neither: every reviewer of the tenant."""

    users: Names = ()
    groups: Names = ()

    @property
    def is_everyone(self) -> bool:
        """Whether every reviewer of the tenant may decide."""
        return not self.users and not self.groups

    @property
    def number(self) -> int | None:
        """How many may decide; None where groups may, or every reviewer."""
        return None if self.groups or not self.users else len(set(self.users))


class OnReject(StrEnum):
    """What a rejection does where several must agree."""

    VETO = "veto"
    """One ends it."""

    MAJORITY = "majority"
    """It ends when the approvals that are asked for can come no more, or when as many reject."""


class Stage(Message):
    """One stage of several, in order. Without candidates of its own it has those of the rules."""

    name: StoredIdentifier
    candidates: Candidates | None = None
    approvals_required: Count = 1


class ReviewRules(Message):
    """The rules of one review. Durations are seconds, counted from when the checkpoint opens."""

    candidates: Candidates = Candidates()
    approvals_required: Count = Field(1, description="Persons who must approve. Stages have counts of their own.")
    on_reject: OnReject = OnReject.VETO
    four_eyes: bool = Field(
        default=False,
        description="Neither who asked nor who edited last can approve, and each stage needs another person.",
    )
    claim: Literal["optional", "required"] = Field(
        "optional", description="`required`: only who has claimed the task decides."
    )
    lease_seconds: Annotated[float, Field(ge=1, le=86_400)] = Field(
        600, description="For how long a claim holds without activity."
    )
    priority: Priority = 50
    start_by_seconds: Seconds | None = Field(None, description="Until when a person is to have claimed it or voted.")
    due_seconds: Seconds | None = Field(None, description="Until when it is to be decided.")
    follow_up_at: Date | None = Field(None, description="Until when the waiting list leaves it out.")
    reminders_seconds: Annotated[tuple[Seconds, ...], Field(max_length=20, fail_fast=True)] = ()
    escalate_after_seconds: Seconds | None = None
    escalate_to: Candidates | None = Field(None, description="Who is asked then, in place of those before.")
    stages: Annotated[tuple[Stage, ...], Field(max_length=10)] = ()
    reason_codes: Names = Field((), description="The codes that a rejection may give; none: any.")

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if (size := len(to_json(self))) > MOST_RULES_BYTES:
            raise ValueError(f"these rules are {size} bytes of JSON, and at most {MOST_RULES_BYTES} are taken")
        return self

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise wrong_at("/stages", "two have the same name")
        if self.escalate_to is not None and self.escalate_to.is_everyone:
            raise wrong_at("/escalate_to", "it names no person and no group")
        for path, candidates, count in self._counts():
            if count > (known := candidates.number or count):
                raise wrong_at(
                    path,
                    f"{count} must approve, and {known} {'candidate is' if known == 1 else 'candidates are'} named",
                )
            if self.escalate_to is not None and count > (known := self.escalate_to.number or count):
                raise wrong_at("/escalate_to", f"it names {known} persons, and {count} must approve")
        return self

    @model_validator(mode="after")
    def _has_other_persons_at_each_stage(self) -> Self:
        """Under four eyes any stages together need as many persons as they ask for (Hall's theorem)."""
        if not self.four_eyes:
            return self
        stages = [(set(asked.users), count) for _, asked, count in self._counts() if asked.number is not None]
        bits = {user: 1 << place for place, user in enumerate(set[str]().union(*(users for users, _ in stages)))}
        together = [(0, 0)]
        for users, count in stages:
            own = sum(bits[user] for user in users)
            together += [(persons | own, needed + count) for persons, needed in together]
        for persons, needed in together:
            if needed > persons.bit_count():
                raise wrong_at("/stages", f"four eyes need {needed} persons, and {persons.bit_count()} are named")
        return self

    @property
    def latest_seconds(self) -> float:
        """When the last of its times comes; 0 where it has none."""
        times = (self.start_by_seconds, self.due_seconds, self.escalate_after_seconds, *self.reminders_seconds)
        return max((seconds for seconds in times if seconds is not None), default=0)

    def _counts(self) -> list[tuple[str, Candidates, int]]:
        """Return where each count of approvals stands, who may give them, and how many."""
        if not self.stages:
            return [("/approvals_required", self.candidates, self.approvals_required)]
        return [
            (f"/stages/{place}/approvals_required", stage.candidates or self.candidates, stage.approvals_required)
            for place, stage in enumerate(self.stages)
        ]
