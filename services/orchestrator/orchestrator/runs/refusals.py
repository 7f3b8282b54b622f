"""Why a command is refused. A refusal is an answer, not a fault.

Refusal
+-- RunNotFound
+-- RunAlreadyExists
+-- IdempotencyKeyReused
+-- PreconditionFailed
+-- NotAllowed
|   +-- StaleCommand
+-- NewerHistory
+-- CheckpointAlreadyDecided
+-- CheckpointMismatch
+-- SubjectChanged
+-- ValidationFailed
+-- PayloadTooLarge
+-- Undecidable
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from contracts.providers.call import Issue
from contracts.runs.views import Approval, RunView


class Refusal(Exception):
    """The command takes no effect and never will."""

    code: ClassVar[str] = "refused"
    remembered: ClassVar[bool] = True
    """Whether the command's id gets this answer for ever. Not if the id belongs to another command, not for workers and the
    clock, whose commands name attempts and times, and not if a newer version may decide otherwise."""

    def __init__(self, message: str | None = None, **details: Any) -> None:
        super().__init__(message or type(self).__doc__)
        self.details = details

    @property
    def message(self) -> str:
        """The sentence that a person reads."""
        return str(self)


class RunNotFound(Refusal):
    """There is no such run."""

    code = "run_not_found"


class RunAlreadyExists(Refusal):
    """A run with this id was started before, by another request."""

    code = "run_already_exists"


class IdempotencyKeyReused(Refusal):
    """This Idempotency-Key came before with another body."""

    code = "idempotency_key_reused"
    remembered = False


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


class NewerHistory(Refusal):
    """The run's history holds an event of a kind that this version does not know."""

    code = "newer_history"
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


class ValidationFailed(Refusal):
    """What would be approved does not validate."""

    code = "validation_failed"

    def __init__(self, issues: Iterable[Issue]) -> None:
        found = [issue.model_dump(mode="json") for issue in issues]
        first = f"{found[0]['path'] or '/'}: {found[0]['message']}"
        super().__init__(first if len(found) == 1 else f"{first} (and {len(found) - 1} more)", issues=found)


class PayloadTooLarge(Refusal):
    """What this would record is larger than an event may be; send large values as artifacts."""

    code = "payload_too_large"


class Undecidable(Refusal):
    """Deciding this met a fault of ours; the command is kept in run.commands.dead."""

    code = "internal_error"
