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
+-- HistoryTooLong
+-- ValidationFailed
"""

from __future__ import annotations

from collections.abc import Iterable

from contracts.identity import Principal, Right
from contracts.providers.call import Issue
from contracts.runs.views import Approval, RunView
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
        roles = ", ".join(principal.roles) or "none"
        super().__init__(f"{principal.subject} may not {right}{of and ' '}{of}; its roles: {roles}")


class PreconditionFailed(Refusal):
    """The run has moved on from the version that If-Match names."""

    code = "precondition_failed"


class NotAllowed(Refusal):
    """The run's state does not allow this."""

    code = "not_allowed"

    def __init__(self, action: str, view: RunView) -> None:
        state = f"{view.state.value}, paused" if view.paused else view.state.value
        super().__init__(
            f"cannot {action} a run that is {state}",
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
