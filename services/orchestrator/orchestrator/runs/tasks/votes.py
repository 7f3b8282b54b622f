"""Votes: how many persons agree, stage by stage, and what that comes to. Whatever their order, the same votes give the same end."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto

from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.checkpoints import Checkpoint
from contracts.runs.tasks.persons import acting_for
from contracts.runs.tasks.rules import OnReject
from contracts.runs.tasks.task import Task, VoteAction, next_stage


class Verdict(Enum):
    """What the votes come to."""

    OPEN = auto()
    STAGE = auto()
    APPROVED = auto()
    REJECTED = auto()


def verdict(task: Task, person: str, action: VoteAction, left: Collection[str] = ()) -> Verdict:
    """Return what the votes of the present stage come to with one more. `left` are voters who may not decide any more."""
    votes = {vote.by: vote.action for vote in task.standing if vote.by not in left} | {person: action}
    rejections = sum(said == "reject" for said in votes.values())
    # An approval is looked at first: others may be asked by now, of whom fewer could have outvoted an earlier rejection.
    if len(votes) - rejections >= task.approvals_required:
        return Verdict.APPROVED if next_stage(task) is None else Verdict.STAGE
    if rejections and (task.on_reject is OnReject.VETO or rejections > _outvoted_at_most(task)):
        return Verdict.REJECTED
    return Verdict.OPEN


def _outvoted_at_most(task: Task) -> int:
    """Return how many rejections the rest can still outvote. Of groups it is not known how many they are: fewer than must approve."""
    candidates = task.candidates
    if candidates.groups or not candidates.users:
        return task.approvals_required - 1
    return len(set(candidates.users)) - task.approvals_required


def vote_of(
    command: c.Decide | c.RetryRun, checkpoint: Checkpoint, action: VoteAction, *, counts: bool = True
) -> e.VoteCast:
    """Return the event of a person's vote on the bytes that are shown."""
    said = command.__dict__
    return e.VoteCast(
        checkpoint_id=checkpoint.checkpoint_id,
        step=checkpoint.step,
        action=action,
        subject_sha256=checkpoint.subject_sha256,
        counts=counts,
        on_behalf_of=acting_for(command.principal, checkpoint.task.candidates, checkpoint.task.heard),
        comment=said.get("comment"),
        message=said.get("message"),
        reason=said.get("reason"),
        reason_code=said.get("reason_code"),
    )


def stage_approved(checkpoint: Checkpoint) -> e.StageApproved:
    """Return the event of a stage that has its approvals."""
    following, stage = next_stage(checkpoint.task), checkpoint.task.stage
    assert following is not None, "the last stage's approvals decide"
    assert stage is not None, "a stage follows a stage"
    return e.StageApproved(checkpoint_id=checkpoint.checkpoint_id, stage=stage, following=following.name)
