"""How events change a task. The orchestrator decides by it and the read model shows it: the same fold, so the same task."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.persons import person_of
from contracts.runs.tasks.rules import Candidates
from contracts.runs.tasks.task import Task, Vote, first_stage, next_stage, of_stage


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
            votes = tuple(
                vote.changed({"counts": False, "asked": None}) if vote.counts else vote for vote in task.votes
            )
            person = person_of(record.principal, record.actor)
            return {"votes": votes, "formerly": (), "revised_by": person, **_begun_anew(task)}
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
            # Who hands it to a group answers for it until one of them does, and can take it back.
            owner = event.assignee or person_of(record.principal, record.actor)
            assigned = {"assignee": event.assignee, "owner": owner, **_asked(task, event.candidates)}
            return {**assigned, "delegation": None, **_unless_held_by(task, event.assignee)}
        case e.TaskDelegated(delegate=delegate, owner=owner):
            return {"assignee": delegate, "owner": owner, "delegation": "asked", **_RELEASED}
        case e.TaskReturned():
            return {"assignee": task.owner, "delegation": "returned", **_RELEASED}
        case e.TaskEscalated(candidates=candidates):
            return _escalated(task, candidates)
        case e.TaskRescheduled():
            dates = {"priority": event.priority, "due_at": event.due_at, "follow_up_at": event.follow_up_at}
            if event.due_at == task.due_at:
                return dates
            # Another date can be missed anew.
            missed = tuple(one for one in task.missed if one != "due_at")
            return {**dates, "missed": missed, "due_set_at": record.at}
        case e.StageApproved():
            votes = tuple(vote if vote.asked is None else vote.changed({"asked": None}) for vote in task.votes)
            following = of_stage(next_stage(task), task.by_default, 1)
            return {**following, "votes": votes, "formerly": (), **_UNASSIGNED}
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
    asked = {"candidates": candidates, "stages": stages}
    return asked if candidates == task.candidates else {**asked, **_since_others_are_asked(task)}


def _since_others_are_asked(task: Task) -> dict[str, Any]:
    """Return the votes with who was asked when they were cast: each set of candidates is kept once, and only for votes that stand."""
    if all(vote.asked is not None for vote in task.standing):
        return {}
    known = task.candidates in task.formerly
    formerly = task.formerly if known else (*task.formerly, task.candidates)
    place = formerly.index(task.candidates)
    votes = tuple(
        vote.changed({"asked": place}) if vote.counts and vote.stage == task.stage and vote.asked is None else vote
        for vote in task.votes
    )
    return {"votes": votes, "formerly": formerly}


def _begun_anew(task: Task) -> dict[str, Any]:
    if not task.stages or task.stage == task.stages[0].name:
        return {}
    return {**first_stage(task), **_UNASSIGNED, "epoch": task.epoch + 1}


def _unless_held_by(task: Task, person: str | None) -> dict[str, Any]:
    return {} if person is not None and task.claimant == person else _RELEASED


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
        before.changed({"counts": False})
        if before.counts and before.stage == task.stage and before.by in event.left
        else before
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


def shift_task(task: Task, waited: timedelta, at: datetime) -> Task:
    """Return the task with the time given back that a pause took until `at`. A lease and a follow-up date go by the clock alone.

    A due date that was set during the pause gets the rest of it.
    """
    if not waited:
        return task
    rest = waited if task.due_set_at is None else min(waited, at - task.due_set_at)
    return task.changed(
        {
            "start_by": task.start_by and task.start_by + waited,
            "due_at": task.due_at and task.due_at + rest,
            "escalate_at": task.escalate_at and task.escalate_at + waited,
            "reminders_at": tuple(at + waited for at in task.reminders_at),
        }
    )
