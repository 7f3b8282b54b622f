"""Who has left: votes of persons who may not decide any more are kept, and count no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from contracts.identity import Role
from contracts.runs import commands as c
from contracts.runs.tasks.persons import is_asked
from contracts.runs.tasks.rules import Candidates
from orchestrator.runs.state import Run


class Person(NamedTuple):
    """A person of a tenant, as the core asks about it."""

    tenant: str
    name: str


class Membership(NamedTuple):
    """What a person's credentials that hold now say: its roles and its groups. Both are empty where none holds."""

    roles: frozenset[str]
    groups: frozenset[str]

    def may_decide(self, candidates: Candidates, name: str) -> bool:
        """Return whether the person may still decide."""
        if Role.ADMIN in self.roles:
            return True
        return Role.REVIEWER in self.roles and is_asked(candidates, name, tuple(self.groups))


def voters(command: c.AnyCommand, run: Run | None) -> Iterator[Person]:
    """Return whose membership counts for a command: those whose votes stand where one more comes in."""
    if not isinstance(command, c.Decide | c.RetryRun) or command.principal is None or run is None:
        return
    checkpoint = run.view.checkpoint
    if checkpoint is not None:
        task = checkpoint.task
        yield from {Person(run.tenant, vote.by) for vote in task.votes if vote.counts and vote.stage == task.stage}


def left(run: Run, known: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the voters of the present stage who are known to have left, in the order in which they voted."""
    checkpoint = run.view.checkpoint
    if checkpoint is None or not known:
        return ()
    task = checkpoint.task
    gone = []
    for vote in task.votes:
        member = known.get(Person(run.tenant, vote.by))
        counts = vote.counts and vote.stage == task.stage
        # A substitute votes by another's place: as long as it may decide at all, that place is the absent person's.
        asked = Candidates() if vote.on_behalf_of is not None else task.asked_for(vote)
        if counts and member is not None and not member.may_decide(asked, vote.by):
            gone.append(vote.by)
    return tuple(gone)


def without(run: Run, gone: tuple[str, ...]) -> Run:
    """Return the run as it is for a decision that counts no votes of those who have left."""
    checkpoint = run.view.checkpoint
    if checkpoint is None or not gone:
        return run
    task = checkpoint.task
    votes = tuple(
        vote.changed({"counts": False}) if vote.stage == task.stage and vote.by in gone else vote for vote in task.votes
    )
    shown = checkpoint.changed({"task": task.changed({"votes": votes})})
    return run.changed({"view": run.view.changed({"checkpoint": shown})})
