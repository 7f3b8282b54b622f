"""The laws of tasks, over a run's history alone: one holder at a time, no vote twice. Pure; each yields breaches.

They keep their own books, apart from the fold that orchestrator and read model share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.runs import events as e
from contracts.runs.run_event import RunEvent
from contracts.runs.tasks.persons import person_of
from contracts.runs.tasks.rules import ReviewRules
from testkit.runs.approval_oracle.decisions import check_decisions

CLOSING = (
    *(e.CheckpointApproved, e.CheckpointEdited, e.CheckpointRejected, e.CheckpointExpired, e.RunRetried),
    *(e.RunCancelled, e.RunFailed, e.RunCompleted),
)
"""Each of these closes a checkpoint, or ends its run."""

_ASKED_ANEW = (e.TaskDelegated, e.TaskReturned, e.TaskEscalated, e.CheckpointEscalated, e.StageApproved)
"""The claim is over with each of these."""

_ANNOUNCED_SECONDS = 60.0
"""The end of a lease is announced so long before it, and never sooner than in its last quarter."""


@dataclass
class _Claim:
    person: str
    until: datetime
    announced: bool = False


def held(history: Sequence[RunEvent]) -> Iterator[str]:
    """Check one holder at a time, that each claim ends once, and that it ends by itself not before its lease does."""
    claim: _Claim | None = None
    lease, later = timedelta(), False
    for record in history:
        where, person = f"version {record.version}", person_of(record.principal, record.actor)
        match record.data:
            case e.CheckpointOpened(rules=rules):
                lease, later = timedelta(seconds=(rules or ReviewRules()).lease_seconds), False
            case e.TaskClaimed(lease_until=until, reason=reason):
                if claim is not None and not reason:
                    yield f"{where}: {person} claims what {claim.person} holds"
                if until != record.at + lease:
                    yield f"{where}: the lease ends at {until}"
                claim = _Claim(person, until)
            case e.ClaimRenewed(lease_until=until):
                if claim is None or claim.person != person or record.at >= claim.until or until < claim.until:
                    yield f"{where}: {person} renews {claim}"
                claim = _Claim(person, until)
            case e.ClaimEnding(claimant=claimant, lease_until=until):
                yield from (f"{where}: {wrong}" for wrong in _announced(claim, claimant, until, record.at, lease))
                claim = claim and _Claim(claim.person, claim.until, announced=True)
            case e.ClaimEnded(claimant=claimant, why=why, reason=reason):
                if claim is None or claim.person != claimant:
                    yield f"{where}: a claim of {claimant} ends, and there is {claim}"
                elif (record.at >= claim.until) != (why == "expired"):
                    yield f"{where}: {why} at {record.at}, and the lease ended at {claim.until}"
                elif why == "released" and person != claimant and not reason:
                    yield f"{where}: {person} released the claim of {claimant}"
                claim = None
            case event if claim is not None and _is_over(event, claim, person, later=later):
                claim = None
        later = isinstance(record.data, e.StageApproved) or (later and not isinstance(record.data, e.SubjectRevised))
    if claim is not None:
        yield f"{claim.person} holds it for ever"


def _announced(claim: _Claim | None, claimant: str, until: datetime, at: datetime, lease: timedelta) -> Iterator[str]:
    if claim is None or (claim.person, claim.until) != (claimant, until):
        yield f"the end of a lease of {claimant} until {until} is announced, and there is {claim}"
    elif claim.announced:
        yield "the end of a lease is announced twice"
    elif at < until - min(timedelta(seconds=_ANNOUNCED_SECONDS), lease / 4):
        yield f"the end of a lease is announced at {at}, before its time"


def _is_over(event: e.Event, claim: _Claim, person: str, *, later: bool) -> bool:
    match event:
        case e.VoteCast():
            return person == claim.person
        case e.TaskAssigned(assignee=assignee):
            return assignee != claim.person
        case e.SubjectRevised():
            return later
    return isinstance(event, (*CLOSING, *_ASKED_ANEW))


def voted(history: Sequence[RunEvent]) -> Iterator[str]:
    """Check that no person's vote counts twice in a stage, and that each decision was allowed, as an oracle judges it."""
    heard: set[str] = set()
    for record in history:
        match record.data:
            case e.CheckpointOpened() | e.SubjectRevised() | e.StageApproved():
                heard = set()
            case e.VoteCast(counts=True, left=left, on_behalf_of=absent):
                people = {person_of(record.principal, record.actor), absent} - {None}
                heard -= set(left)
                if again := heard & people:
                    yield f"version {record.version}: {', '.join(sorted(again))} counts twice"
                heard |= {person for person in people if person}
    try:
        check_decisions(history)
    except AssertionError as broken:
        yield f"not allowed: {broken}"
