"""Assignment: who should do it and who answers for it; help that is asked for and given back; others in place of those before."""

from __future__ import annotations

from contracts.identity import Role
from contracts.providers.call import Issue
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.tasks.persons import acting_persons, person_of
from contracts.runs.tasks.rules import MOST_NAMES, Candidates
from contracts.runs.tasks.task import Task
from orchestrator.runs.refusals import Delegated, NotAllowed, NotCandidate, ValidationFailed
from orchestrator.runs.state import Run
from orchestrator.runs.tasks.eligibility import check_holder, check_involved, may_override, open_checkpoint


def assign(command: c.AssignTask, run: Run) -> e.TaskAssigned:
    """Hand the task to a person or a group. Raises NotCandidate, ClaimedByOther, Delegated, ValidationFailed.

    Being assigned gives no right to decide: only an override adds who was no candidate.
    """
    checkpoint = open_checkpoint(command, run, "assign")
    if (command.user is None) is (command.group is None):
        raise _wrong("/to", "one person or one group")
    task, overrides = checkpoint.task, _may_move(command, checkpoint.task)
    return e.TaskAssigned(
        checkpoint_id=checkpoint.checkpoint_id,
        assignee=command.user,
        candidates=_candidates_after(command, task, overrides=overrides),
        reason=command.reason,
    )


def delegate(command: c.DelegateTask, run: Run) -> e.TaskDelegated:
    """Ask another person, who gives it back. Who asks answers for it; what is another's to do is not given away.

    Raises NotCandidate, ClaimedByOther, Delegated, NotAllowed, ValidationFailed.
    """
    checkpoint = open_checkpoint(command, run, "delegate")
    task, overrides = checkpoint.task, _may_move(command, checkpoint.task)
    person, acting = person_of(command.principal, command.actor), acting_persons(command.principal, command.actor)
    if task.assignee is not None and acting.isdisjoint({task.assignee, task.owner}) and not overrides:
        raise NotAllowed(
            "delegate", run.view, f"{task.assignee} is to do it: {task.assignee} delegates it, or an override"
        )
    if command.user == person:
        raise _wrong("/to/user", "it is the person who asks")
    return e.TaskDelegated(
        checkpoint_id=checkpoint.checkpoint_id, delegate=command.user, owner=person, reason=command.reason
    )


def give_back(command: c.ReturnTask, run: Run) -> tuple[e.Event, ...]:
    """Give a delegated task back to its owner, who can take it back too. Raises NotAllowed, NotCandidate."""
    checkpoint = open_checkpoint(command, run, "return")
    task, about = checkpoint.task, checkpoint.checkpoint_id
    check_involved(command, task)
    if task.delegation != "asked" or task.owner is None:
        raise NotAllowed("return", run.view, "nothing is to be returned: the task was not delegated")
    acting = acting_persons(command.principal, command.actor)
    if acting.isdisjoint({task.assignee, task.owner}) and not may_override(command):
        raise Delegated(task.assignee, task.owner)
    returned = e.TaskReturned(checkpoint_id=about, owner=task.owner)
    if command.comment is None:
        return (returned,)
    return (e.CommentAdded(comment_id=command.command_id, checkpoint_id=about, text=command.comment), returned)


def escalate(command: c.EscalateTask, run: Run) -> e.TaskEscalated:
    """Ask others now: those that the rules name, or those that an administrator names.

    Raises NotCandidate, ClaimedByOther, Delegated, Forbidden, ValidationFailed.
    """
    checkpoint = open_checkpoint(command, run, "escalate")
    task = checkpoint.task
    _may_move(command, task)
    to = command.to or task.escalate_to
    if to is None or to.is_everyone:
        raise _wrong("/to", "there is no person and no group to escalate to")
    if to == task.candidates:
        raise _wrong("/to", "these are asked already")
    is_admin = command.principal is None or command.principal.has(Role.ADMIN)
    if command.to is not None and command.to != task.escalate_to and not is_admin:
        raise NotCandidate(
            person_of(command.principal, command.actor), task.candidates, "an administrator alone names others"
        )
    _check_can_be_met(task, to)
    return e.TaskEscalated(checkpoint_id=checkpoint.checkpoint_id, candidates=to, reason=command.reason)


def _may_move(command: c.AssignTask | c.DelegateTask | c.EscalateTask, task: Task) -> bool:
    """Return whether the command overrides. Raises what keeps the person from moving the task."""
    check_involved(command, task)
    if may_override(command):
        return True
    if task.delegation == "asked" and task.owner not in acting_persons(command.principal, command.actor):
        raise Delegated(task.assignee, task.owner)
    check_holder(command, task)
    return False


def _check_can_be_met(task: Task, to: Candidates) -> None:
    """Return if those who are asked now can give the approvals that are missing. Raises ValidationFailed."""
    able = set(to.users) | {vote.on_behalf_of or vote.by for vote in task.standing if vote.approves}
    if to.number is not None and len(able) < task.approvals_required:
        raise _wrong("/to", f"{task.approvals_required} must approve, and {len(able)} could")


def _candidates_after(command: c.AssignTask, task: Task, *, overrides: bool) -> Candidates:
    asked = task.candidates
    if command.group is not None:
        if asked.is_everyone or command.group in asked.groups or overrides:
            return Candidates(groups=(command.group,))
        raise NotCandidate(command.group, asked, "an override with a reason asks another group")
    if overrides and command.user is not None and not asked.is_everyone and command.user not in asked.users:
        if len(asked.users) >= MOST_NAMES:
            raise _wrong("/to/user", f"{MOST_NAMES} persons are asked already")
        return Candidates(users=(*asked.users, command.user), groups=asked.groups)
    return asked


def _wrong(path: str, message: str) -> ValidationFailed:
    return ValidationFailed([Issue(code="value_error", path=path, message=message)])
