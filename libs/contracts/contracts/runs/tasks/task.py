"""The task of a checkpoint: who is asked and who does it, its votes and its times; and how events change it.

The orchestrator decides by it and the read model shows it: the same fold, so the same task.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from operator import not_
from typing import Any, Literal

from pydantic import Field

from contracts.message import Message, Timestamp
from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.persons import person_of
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
    asked: Candidates | None = Field(
        None, exclude_if=not_, description="Who was asked when it was cast, where others are asked since."
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
    follow_up_at: Timestamp | None = None
    escalated: int = 0
    stage: str | None = None
    stages: tuple[Stage, ...] = ()
    votes: tuple[Vote, ...] = ()
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
    revised_by: str | None = Field(None, description="Who edited the subject last while votes are counted.")
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

    def holder(self, at: datetime) -> str | None:
        """Return who holds the task at a time: the claimant, until the lease ends."""
        return self.claimant if self.lease_until is not None and at < self.lease_until else None


PLAIN = Task()
"""The task of a checkpoint without rules: any reviewer decides."""

ANNOUNCED_SECONDS = 60.0
"""So long before it ends the end of a lease is announced, and never sooner than in its last quarter."""


def open_task(rules: ReviewRules | None, at: datetime) -> Task:
    """Return the task of a checkpoint that opens at `at` under these rules."""
    if rules is None:
        return PLAIN

    def after(seconds: float | None) -> datetime | None:
        return None if seconds is None else at + timedelta(seconds=seconds)

    return PLAIN.changed(
        {
            **_of_stage(rules.stages[0] if rules.stages else None, rules.candidates, rules.approvals_required),
            "stages": tuple(
                stage if stage.candidates is not None else stage.changed({"candidates": rules.candidates})
                for stage in rules.stages
            ),
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
        }
    )


def first_stage(task: Task) -> dict[str, Any]:
    """Return what the task is at its first stage; nothing where there are no stages."""
    return _of_stage(task.stages[0], None, 1) if task.stages else {}


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


def fold_task(task: Task, event: e.Event, record: RunEvent) -> Task:
    """Return the task after an event. Never refuses."""
    changes = _changes(task, event, record)
    return task.changed(changes) if changes else task


_RELEASED: dict[str, Any] = {"state": "open", "claimant": None, "lease_until": None, "lease_ending": False}

_UNASSIGNED: dict[str, Any] = {"assignee": None, "owner": None, "delegation": None, **_RELEASED}
"""Of a task at which others are asked: who should do it before is not to hold it still."""


def _changes(task: Task, event: e.Event, record: RunEvent) -> dict[str, Any]:
    match event:
        case e.VoteCast():
            return _voted(task, event, record)
        case e.CommentAdded():
            return {"comments": task.comments + 1}
        case e.CommentDeleted():
            return {"comments": max(task.comments - 1, 0)}
        case e.DraftBegun():
            return {"drafts": task.drafts + 1}
        case e.DraftDropped():
            return {"drafts": max(task.drafts - 1, 0)}
        case e.TaskReminded():
            return _reminded(task, event)
        case e.ClaimRenewed(lease_until=until):
            return {"lease_until": until, "lease_ending": False}
        case e.ClaimEnding():
            return {"lease_ending": True}
        case e.SubjectRevised():
            votes = tuple(vote.changed({"counts": False}) if vote.counts else vote for vote in task.votes)
            return {"votes": votes, "revised_by": person_of(record.principal, record.actor), **_begun_anew(task)}
        case _:
            held = _held(task, event, record)
            return held and {**held, "epoch": task.epoch + 1}


def _held(task: Task, event: e.Event, record: RunEvent) -> dict[str, Any]:
    """Return what changes who is asked and who does it. Each of these begins an epoch."""
    match event:
        case e.TaskClaimed(lease_until=until):
            person = person_of(record.principal, record.actor)
            claimed = {"state": "claimed", "claimant": person, "lease_until": until, "lease_ending": False}
            return {**claimed, "started_at": task.started_at or record.at}
        case e.ClaimEnded():
            return _RELEASED
        case e.TaskAssigned():
            assigned = {"assignee": event.assignee, "owner": event.assignee, **_asked(task, event.candidates)}
            return {**assigned, "delegation": None, **_unless_held_by(task, event.assignee)}
        case e.TaskDelegated(delegate=delegate, owner=owner):
            return {"assignee": delegate, "owner": owner, "delegation": "asked", **_RELEASED}
        case e.TaskReturned():
            return {"assignee": task.owner, "delegation": "returned", **_RELEASED}
        case e.TaskEscalated(candidates=candidates):
            return _escalated(task, candidates)
        case e.TaskRescheduled():
            dates = {"priority": event.priority, "due_at": event.due_at, "follow_up_at": event.follow_up_at}
            # Another date can be missed anew.
            missed = (
                task.missed if event.due_at == task.due_at else tuple(one for one in task.missed if one != "due_at")
            )
            return {**dates, "missed": missed}
        case e.StageApproved():
            return {**_of_stage(next_stage(task), None, 1), **_UNASSIGNED}
        case e.CheckpointEscalated():
            return _escalated(task, task.escalate_to or task.candidates)
    return {}


def _escalated(task: Task, candidates: Candidates) -> dict[str, Any]:
    return {**_asked(task, candidates), "escalated": task.escalated + 1, "escalate_at": None, **_UNASSIGNED}


def _asked(task: Task, candidates: Candidates) -> dict[str, Any]:
    """Return that others are asked at the present stage, also when an edit leads back to it."""
    stages = tuple(
        stage.changed({"candidates": candidates}) if stage.name == task.stage else stage for stage in task.stages
    )
    votes = tuple(
        vote.changed({"asked": task.candidates}) if vote.counts and vote.asked is None else vote for vote in task.votes
    )
    return {"candidates": candidates, "stages": stages, "votes": task.votes if candidates == task.candidates else votes}


def _begun_anew(task: Task) -> dict[str, Any]:
    if not task.stages or task.stage == task.stages[0].name:
        return {}
    return {**first_stage(task), **_UNASSIGNED, "epoch": task.epoch + 1}


def _unless_held_by(task: Task, person: str | None) -> dict[str, Any]:
    return {} if person is not None and task.claimant == person else _RELEASED


def _of_stage(stage: Stage | None, candidates: Candidates | None, required: int) -> dict[str, Any]:
    if stage is None:
        return {"candidates": candidates or Candidates(), "approvals_required": required}
    asked = stage.candidates or candidates or Candidates()
    return {"stage": stage.name, "candidates": asked, "approvals_required": stage.approvals_required}


def _voted(task: Task, event: e.VoteCast, record: RunEvent) -> dict[str, Any]:
    person = person_of(record.principal, record.actor)
    vote = Vote.of(
        by=person,
        on_behalf_of=event.on_behalf_of,
        action=event.action,
        at=record.at,
        counts=event.counts,
        stage=task.stage,
        subject_sha256=event.subject_sha256,
        asked=None,
    )
    kept = tuple(
        before.changed({"counts": False}) if before.counts and before.by in event.left else before
        for before in task.votes
    )
    done = {**_RELEASED, "epoch": task.epoch + 1} if task.claimant == person else {}
    return {"votes": (*kept, vote), "delegation": None, "started_at": task.started_at or record.at, **done}


def _reminded(task: Task, event: e.TaskReminded) -> dict[str, Any]:
    match event.what:
        case "reminder":
            return {"reminders_at": task.reminders_at[1:], "reminded": task.reminded + 1}
        case "follow_up_at":
            return {"follow_up_at": None}
        case missed:
            return {"missed": (*task.missed, missed)}


def shift_task(task: Task, waited: timedelta) -> Task:
    """Return the task with the time given back that a pause took. A lease and a follow-up date go by the clock alone."""
    if not waited:
        return task
    return task.changed(
        {
            "start_by": task.start_by and task.start_by + waited,
            "due_at": task.due_at and task.due_at + waited,
            "escalate_at": task.escalate_at and task.escalate_at + waited,
            "reminders_at": tuple(at + waited for at in task.reminders_at),
        }
    )
