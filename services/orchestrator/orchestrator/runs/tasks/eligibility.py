"""Who may act at a task, and who may decide: by the person who acts, as its credential says it now."""

from __future__ import annotations

from contracts.identity import Right, Role
from contracts.providers.call import Issue
from contracts.runs import commands as c
from contracts.runs.checkpoints import Checkpoint
from contracts.runs.tasks.persons import acting_for, acting_persons, is_asked, person_of
from contracts.runs.tasks.task import Task, VoteAction
from orchestrator.runs.refusals import (
    AlreadyVoted,
    CheckpointAlreadyDecided,
    CheckpointMismatch,
    ClaimedByOther,
    Delegated,
    Forbidden,
    FourEyes,
    NotAllowed,
    NotCandidate,
    NotClaimed,
    ValidationFailed,
)
from orchestrator.runs.state import MOST_EVENTS, Run


def requester_of(run: Run) -> str | None:
    """Return the person who asked for a run. While authentication is off it is the user that the request names."""
    return run.requester.person if run.requester is not None else run.request.user_id


def open_checkpoint(command: c.OfTask | c.Decide | c.RetryRun | c.AddComment, run: Run, action: str) -> Checkpoint:
    """Return the open checkpoint that a command is about. Raises Refusal if it names another, or if none is open."""
    checkpoint, named = run.view.checkpoint, getattr(command, "checkpoint_id", None)
    if named is not None and (checkpoint is None or named != checkpoint.checkpoint_id):
        if named in run.decided:
            raise CheckpointAlreadyDecided(run.decided[named])
        if checkpoint is not None:
            raise CheckpointMismatch(checkpoint_id=str(checkpoint.checkpoint_id), step=checkpoint.step.value)
    if checkpoint is None:
        raise decided_on(command, run) or NotAllowed(action, run.view)
    return checkpoint


def decided_on(command: c.OfTask | c.Decide | c.RetryRun | c.AddComment, run: Run) -> CheckpointAlreadyDecided | None:
    """Return the refusal of a decision that names the bytes on which another decision came first: the last one, if they came more than once."""
    shown = getattr(command, "subject_sha256", None)
    decisions = reversed(list(run.decided.values()))
    first = next((decision for decision in decisions if decision.subject_sha256 == shown), None)
    return None if first is None else CheckpointAlreadyDecided(first)


def check_involved(command: c.Asked, task: Task) -> None:
    """Return if the person may act at the task. Raises NotCandidate."""
    if not is_involved(command, task):
        raise NotCandidate(person_of(command.principal, command.actor), task.candidates)


def is_involved(command: c.Asked, task: Task) -> bool:
    """Return whether the person is a candidate, or should do it or answers for it: itself, or as a substitute.

    A claim alone is no involvement: who has left the candidates cannot hold the task on.
    """
    if is_candidate(command, task):
        return True
    return not acting_persons(command.principal, command.actor).isdisjoint({task.assignee, task.owner} - {None})


def is_candidate(command: c.Asked, task: Task) -> bool:
    """Return whether the person may decide at the task. An administrator may decide everywhere in its tenant.

    While authentication is off, persons who are named are told by the actor, and of groups nothing is known.
    """
    principal = command.principal
    if principal is None:
        return task.candidates.number is None or command.actor in task.candidates.users
    return (
        principal.has(Role.ADMIN)
        or is_asked(task.candidates, principal.person, principal.groups)
        or acting_for(principal, task.candidates) is not None
    )


def check_holder(command: c.Asked, task: Task) -> None:
    """Return unless another person holds the task. Raises ClaimedByOther."""
    holder = task.holder(command.at)
    if holder is not None and holder != person_of(command.principal, command.actor):
        raise ClaimedByOther(holder, task.lease_until)


def check_decider(command: c.Decide | c.RetryRun, run: Run, task: Task, action: VoteAction) -> None:
    """Return if the person may decide now. Raises NotCandidate, Delegated, ClaimedByOther, NotClaimed, FourEyes, AlreadyVoted."""
    person = person_of(command.principal, command.actor)
    if not is_candidate(command, task):
        raise NotCandidate(person, task.candidates)
    # A run of very many events takes no return and no claim any more, and must come to its end.
    is_full = run.version >= MOST_EVENTS
    if task.delegation == "asked" and not is_full:
        raise Delegated(task.assignee, task.owner)
    check_holder(command, task)
    if task.claim == "required" and task.holder(command.at) is None and not is_full:
        raise NotClaimed("this review is decided by who has claimed it")
    if action != "reject" and task.four_eyes:
        _check_four_eyes(person, run, task, action)
    if action != "edit":
        _check_unheard(command, task)


def check_successor(command: c.RetryRun, run: Run, task: Task) -> None:
    """Return if the person may try a run again whose last review had this task. Raises NotCandidate, FourEyes."""
    person = person_of(command.principal, command.actor)
    if not is_candidate(command, task):
        raise NotCandidate(person, task.candidates)
    if task.four_eyes and person == requester_of(run):
        raise FourEyes(f"{person} asked for this run")


def _check_unheard(command: c.Decide | c.RetryRun, task: Task) -> None:
    """Return if no vote of the person stands. For one candidate there is one vote, its own or that of its substitute."""
    principal, person = command.principal, person_of(command.principal, command.actor)
    if person in task.heard:
        raise AlreadyVoted(person)
    if principal is None or principal.has(Role.ADMIN) or is_asked(task.candidates, person, principal.groups):
        return
    if acting_for(principal, task.candidates, task.heard) is None:
        raise AlreadyVoted(" and ".join(sorted(task.heard.intersection(principal.on_behalf_of))))


def _check_four_eyes(person: str, run: Run, task: Task, action: VoteAction) -> None:
    if person == requester_of(run):
        raise FourEyes(f"{person} asked for this run")
    if action != "edit" and person == task.revised_by:
        raise FourEyes(f"{person} edited it last")
    if person in _earlier_approvers(run, task):
        raise FourEyes(f"{person} approved an earlier stage")


def _earlier_approvers(run: Run, task: Task) -> set[str]:
    """Return who approved these bytes at another stage, whether the vote still counts or not."""
    shown = run.view.checkpoint and run.view.checkpoint.subject_sha256
    return {
        vote.by
        for vote in task.votes
        if vote.stage != task.stage and vote.action in ("approve", "retry") and vote.subject_sha256 == shown
    }


def may_override(command: c.OfTask) -> bool:
    """Return whether a command overrides what holds for others: an administrator may, with a reason. Raises Forbidden, ValidationFailed."""
    if not command.override:
        return False
    if command.principal is not None and not command.principal.has(Role.ADMIN):
        raise Forbidden(command.principal, Right.DECIDE, "over another's claim or beyond the candidates")
    if not (command.reason or "").strip():
        raise ValidationFailed([Issue(code="missing", path="/reason", message="an override needs a reason")])
    return True
