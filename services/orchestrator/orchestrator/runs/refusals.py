"""Why a command about a run is refused, beside what every aggregate refuses (`orchestrator/refusals.py`).

Refusal
+-- RunNotFound
+-- RunAlreadyExists
+-- Forbidden
+-- PreconditionFailed
+-- NotAllowed
|   +-- StaleCommand
+-- CheckpointAlreadyDecided
+-- CheckpointMismatch
+-- SubjectChanged
+-- NotCandidate
+-- ClaimedByOther
+-- NotClaimed
+-- Delegated
+-- FourEyes
+-- AlreadyVoted
+-- CommentNotFound
+-- HistoryTooLong
+-- ValidationFailed
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from contracts.identity import Principal, Right
from contracts.providers.call import Issue
from contracts.runs.checkpoints import Approval
from contracts.runs.tasks.rules import Candidates
from contracts.runs.views import RunView
from orchestrator.refusals import Refusal


class RunNotFound(Refusal):
    """There is no such run."""

    code = "run_not_found"


class RunAlreadyExists(Refusal):
    """A run with this id was started before, by another request."""

    code = "run_already_exists"


class Forbidden(Refusal):
    """The principal has no right to this."""

    code = "forbidden"
    remembered = False  # a right may be given

    def __init__(self, principal: Principal, right: Right, of: str = "") -> None:
        super().__init__(principal.refusal(right, of))


class PreconditionFailed(Refusal):
    """The run has moved on from the version that If-Match names."""

    code = "precondition_failed"


class NotAllowed(Refusal):
    """The run's state does not allow this."""

    code = "not_allowed"

    def __init__(self, action: str, view: RunView, why: str = "") -> None:
        state = f"{view.state.value}, paused" if view.paused else view.state.value
        super().__init__(
            why or f"cannot {action} a run that is {state}",
            state=view.state.value,
            paused=view.paused,
            pending_actions=list(view.pending_actions),
        )


class StaleCommand(NotAllowed):
    """The run does not wait for this attempt or checkpoint, or no longer; or the deadline is not due."""

    remembered = False


class CheckpointAlreadyDecided(Refusal):
    """Another decision on this checkpoint came first."""

    code = "checkpoint_already_decided"

    def __init__(self, decision: Approval) -> None:
        super().__init__(
            f"{decision.actor} has decided this checkpoint: {decision.action}",
            decision=decision.model_dump(mode="json"),
        )


class CheckpointMismatch(Refusal):
    """The checkpoint named is not the one that waits."""

    code = "checkpoint_mismatch"


class SubjectChanged(Refusal):
    """The bytes that were seen are not the bytes that wait for a decision."""

    code = "subject_changed"


class NotCandidate(Refusal):
    """The person is not among those who are asked."""

    code = "not_candidate"

    def __init__(self, person: str, candidates: Candidates | None = None, hint: str = "") -> None:
        if candidates is None:
            super().__init__(f"{person} is not among those who are asked")
            return
        asked = [*candidates.users, *(f"the group {group}" for group in candidates.groups)]
        message = f"{person} is not among the candidates: {', '.join(asked) or 'reviewers'}"
        super().__init__(f"{message}; {hint}" if hint else message, candidates=candidates.model_dump(mode="json"))


class ClaimedByOther(Refusal):
    """Another person holds the task."""

    code = "claimed_by_other"

    def __init__(self, holder: str, until: datetime | None) -> None:
        lease_until = None if until is None else until.isoformat().replace("+00:00", "Z")
        super().__init__(f"{holder} has claimed this until {lease_until}", holder=holder, lease_until=lease_until)


class NotClaimed(Refusal):
    """The task is not claimed."""

    code = "not_claimed"


class Delegated(Refusal):
    """The task is with a person who was asked for help, and is decided when it is given back."""

    code = "delegated"

    def __init__(self, assignee: str | None, owner: str | None) -> None:
        super().__init__(f"{owner} asked {assignee}, who gives it back first", assignee=assignee, owner=owner)


class FourEyes(Refusal):
    """Another person must approve this."""

    code = "four_eyes"

    def __init__(self, why: str) -> None:
        super().__init__(f"another person must approve this: {why}")


class AlreadyVoted(Refusal):
    """The person's vote stands already, whichever way it came."""

    code = "already_voted"

    def __init__(self, person: str) -> None:
        super().__init__(f"{person} has voted on this already")


class CommentNotFound(Refusal):
    """There is no such comment of this run."""

    code = "comment_not_found"


class HistoryTooLong(Refusal):
    """This run has as many events as a run may have: it can be approved, rejected or cancelled, and started anew."""

    code = "history_too_long"


class ValidationFailed(Refusal):
    """What would be approved does not validate."""

    code = "validation_failed"

    def __init__(self, issues: Iterable[Issue]) -> None:
        found = [issue.model_dump(mode="json") for issue in issues]
        first = f"{found[0]['path'] or '/'}: {found[0]['message']}"
        super().__init__(first if len(found) == 1 else f"{first} (and {len(found) - 1} more)", issues=found)
