"""The task of a checkpoint: who is asked and who does it, its votes and its times."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from operator import is_, not_
from typing import Any, Literal

from pydantic import Field

from contracts.message import Message, Timestamp
from contracts.runs.tasks.rules import Candidates, OnReject, ReviewRules, Stage

VoteAction = Literal["approve", "edit", "reject", "retry"]
Missed = Literal["start_by", "due_at"]


class Vote(Message):
    """What one person said at a checkpoint. `counts`: it stands; an edit by another, or leaving, takes that away."""

    by: str
    on_behalf_of: str | None = None
    action: VoteAction
    at: Timestamp
    counts: bool = True
    stage: str | None = None
    subject_sha256: str
    asked: int | None = Field(
        None,
        exclude_if=partial(is_, None),
        description="Who was asked when it was cast, where others are asked since: the place in the task's `formerly`.",
    )

    @property
    def approves(self) -> bool:
        """Whether it counts as an approval of its stage."""
        return self.counts and self.action != "reject"


class Task(Message):
    """What waits for people at a checkpoint. `assignee` should do it, `claimant` does it, `owner` answers for it."""

    state: Literal["open", "claimed"] = "open"
    candidates: Candidates = Candidates()
    assignee: str | None = None
    claimant: str | None = None
    lease_until: Timestamp | None = None
    owner: str | None = None
    delegation: Literal["asked", "returned"] | None = None
    priority: int = 50
    start_by: Timestamp | None = None
    due_at: Timestamp | None = None
    due_set_at: Timestamp | None = Field(
        None, exclude_if=not_, description="When a person set the due date: a pause that began before gives it less."
    )
    follow_up_at: Timestamp | None = None
    escalated: int = 0
    stage: str | None = None
    stages: tuple[Stage, ...] = ()
    by_default: Candidates | None = Field(
        None, exclude_if=not_, description="Who is asked at stages without candidates of their own."
    )
    votes: tuple[Vote, ...] = ()
    formerly: tuple[Candidates, ...] = Field(
        (), exclude_if=not_, description="Who was asked before at the present stage, where votes of then stand."
    )
    approvals_required: int = 1
    drafts: int = 0
    comments: int = 0
    epoch: int = Field(0, description="Counts each change of who is asked or who does it.")
    on_reject: OnReject = OnReject.VETO
    four_eyes: bool = False
    claim: Literal["optional", "required"] = "optional"
    lease_seconds: float = 600
    lease_ending: bool = Field(default=False, description="The end of the lease was announced.")
    started_at: Timestamp | None = Field(None, description="When it was first claimed, or voted on.")
    reminders_at: tuple[Timestamp, ...] = Field((), description="The reminders to come.")
    reminded: int = 0
    missed: tuple[Missed, ...] = ()
    escalate_at: Timestamp | None = None
    escalate_to: Candidates | None = None
    revised_by: str | None = Field(
        None,
        description="Who edited the subject last: while votes are counted, and under four eyes before it came again.",
    )
    reason_codes: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether one decision by any candidate ends it, so that no votes are counted."""
        decides_alone = self.approvals_required == 1 and not self.stages
        return decides_alone and not self.four_eyes and self.on_reject is OnReject.VETO

    @property
    def standing(self) -> tuple[Vote, ...]:
        """The votes that count at the present stage."""
        return tuple(vote for vote in self.votes if vote.counts and vote.stage == self.stage)

    @property
    def heard(self) -> frozenset[str]:
        """The persons whose votes stand at the present stage, given by themselves or by a substitute."""
        return frozenset(person for vote in self.standing for person in (vote.by, vote.on_behalf_of) if person)

    def asked_for(self, vote: Vote) -> Candidates:
        """Return who was asked when a vote of the present stage was cast."""
        return self.candidates if vote.asked is None else self.formerly[vote.asked]

    def holder(self, at: datetime) -> str | None:
        """Return who holds the task at a time: the claimant, until the lease ends."""
        return self.claimant if self.lease_until is not None and at < self.lease_until else None


PLAIN = Task()
"""The task of a checkpoint without rules: any reviewer decides."""

ANNOUNCED_SECONDS = 60.0
"""So long before it ends the end of a lease is announced, and never sooner than in its last quarter."""


def open_task(rules: ReviewRules | None, at: datetime, revised_by: str | None = None) -> Task:
    """Return the task of a checkpoint that opens at `at` under these rules, on what `revised_by` edited last."""
    if rules is None:
        return PLAIN

    def after(seconds: float | None) -> datetime | None:
        return None if seconds is None else at + timedelta(seconds=seconds)

    return PLAIN.changed(
        {
            **of_stage(rules.stages[0] if rules.stages else None, rules.candidates, rules.approvals_required),
            "stages": rules.stages,
            "by_default": rules.candidates if rules.stages else None,
            "priority": rules.priority,
            "start_by": after(rules.start_by_seconds),
            "due_at": after(rules.due_seconds),
            "follow_up_at": rules.follow_up_at,
            "on_reject": rules.on_reject,
            "four_eyes": rules.four_eyes,
            "claim": rules.claim,
            "lease_seconds": rules.lease_seconds,
            # Two at one time would be one command of the clock, which takes effect once: the second could never pass.
            "reminders_at": tuple(sorted({at + timedelta(seconds=seconds) for seconds in rules.reminders_seconds})),
            "escalate_at": after(rules.escalate_after_seconds),
            "escalate_to": rules.escalate_to,
            "reason_codes": rules.reason_codes,
            "revised_by": revised_by,
        }
    )


def first_stage(task: Task) -> dict[str, Any]:
    """Return what the task is at its first stage; nothing where there are no stages."""
    return of_stage(task.stages[0], task.by_default, 1) if task.stages else {}


def next_stage(task: Task) -> Stage | None:
    """Return the stage that follows the present one; None behind the last, and where there are none."""
    names = [stage.name for stage in task.stages]
    after = names.index(task.stage) + 1 if task.stage in names else len(names)
    return task.stages[after] if after < len(names) else None


def announced_at(task: Task) -> datetime | None:
    """Return when the end of the present lease is announced."""
    if task.lease_until is None:
        return None
    return task.lease_until - timedelta(seconds=min(ANNOUNCED_SECONDS, task.lease_seconds / 4))


def of_stage(stage: Stage | None, candidates: Candidates | None, required: int) -> dict[str, Any]:
    """Return what a task is at a stage, or where there are none."""
    if stage is None:
        return {"candidates": candidates or Candidates(), "approvals_required": required}
    asked = stage.candidates or candidates or Candidates()
    return {"stage": stage.name, "candidates": asked, "approvals_required": stage.approvals_required}
