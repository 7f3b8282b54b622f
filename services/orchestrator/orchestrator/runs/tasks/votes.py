"""Votes: how many persons agree, stage by stage, and what that comes to. Whatever their order, the same votes give the same end."""

from __future__ import annotations

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


def verdict(task: Task, person: str, cast: e.VoteCast) -> Verdict:
    """Return what the votes of the present stage come to with one more."""
    before = {vote.by: (vote.on_behalf_of or vote.by, vote.action) for vote in task.standing}
    votes = before | {person: (cast.on_behalf_of or person, cast.action)}
    rejected = [place for place, said in votes.values() if said == "reject"]
    # An approval is looked at first: others may be asked by now, of whom fewer could have outvoted an earlier rejection.
    if len(votes) - len(rejected) >= task.approvals_required:
        return Verdict.APPROVED if next_stage(task) is None else Verdict.STAGE
    if rejected and (task.on_reject is OnReject.VETO or _is_outvoted(task, rejected)):
        return Verdict.REJECTED
    return Verdict.OPEN


def _is_outvoted(task: Task, rejected: list[str]) -> bool:
    """Return whether the approvals that are asked for can come no more: those of the named candidates, and earlier ones of others.

    An administrator who is no candidate is not counted on: then the end would hang on whether it votes sooner or later. Its
    rejection takes no candidate away. Where the number of candidates is not known, as many rejections as must approve outvote.
    """
    named = set(task.candidates.users)
    if task.candidates.number is None:
        return len(rejected) >= task.approvals_required
    # Those who voted before others were asked: no order of the votes since then changes how many they are.
    formerly = [vote for vote in task.standing if vote.asked is not None and vote.approves]
    others = sum((vote.on_behalf_of or vote.by) not in named for vote in formerly)
    return others + len(named.difference(rejected)) < task.approvals_required


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
