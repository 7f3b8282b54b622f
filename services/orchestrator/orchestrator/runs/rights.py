"""Who may ask what of a run. Every channel's commands come here, so none gets round it."""

from __future__ import annotations

from typing import get_args

from contracts.identity import Principal, Right, Role
from contracts.runs import commands as c
from contracts.runs.tasks.readers import reader_of
from orchestrator.runs.refusals import Forbidden, NotCandidate
from orchestrator.runs.state import Run

_RIGHTS: dict[type[c.Asked], Right] = {
    c.StartRun: Right.START,
    c.ApproveCheckpoint: Right.DECIDE,
    c.EditCheckpoint: Right.DECIDE,
    c.RejectCheckpoint: Right.DECIDE,
    c.RetryRun: Right.DECIDE,
    c.PauseRun: Right.STEER,
    c.ResumeRun: Right.STEER,
    c.CancelRun: Right.CANCEL,
    **dict.fromkeys(get_args(c.OnTask), Right.DECIDE),
    **dict.fromkeys(get_args(c.OnComment), Right.COMMENT),
}
"""The right that each command of a person needs."""


def check_rights(command: c.AnyCommand, run: Run | None) -> None:
    """Return if the command's principal may ask for it. Raises Forbidden, and NotCandidate for a reviewer who may not even read the run.

    A command without one comes from a worker or the clock, or from a person while authentication is off.
    """
    if not isinstance(command, c.Asked) or command.principal is None:
        return
    principal, right = command.principal, _RIGHTS[type(command)]
    if not principal.may(right):
        raise Forbidden(principal, right)
    if run is None or _owns(principal, run):
        return
    _check_readable(run, principal, right)
    if right is Right.CANCEL or (right is Right.COMMENT and not principal.has(Role.REVIEWER)):
        raise Forbidden(principal, right, "that it did not start")


def _check_readable(run: Run, principal: Principal, right: Right) -> None:
    """Return if the principal may read the run. Raises NotCandidate or Forbidden, which tell nothing of it."""
    reader = reader_of(principal)
    requester = None if run.requester is None else run.requester.person
    if reader is None or right is Right.CANCEL or reader.may_read(run.readers, requester):
        return
    if right is Right.STEER or not principal.has(Role.REVIEWER):
        raise Forbidden(principal, right, "of others, at which it was not asked")
    raise NotCandidate(principal.person)


def _owns(principal: Principal, run: Run) -> bool:
    if principal.has(Role.ADMIN):
        return True
    requester = run.requester
    return principal.has(Role.REQUESTER) and requester is not None and requester.person == principal.person
