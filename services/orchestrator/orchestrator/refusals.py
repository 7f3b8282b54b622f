"""Why a command is refused, whatever it is about. A refusal is an answer, not a fault.

Refusal
+-- IdempotencyKeyReused
+-- NewerHistory
+-- PayloadTooLarge
+-- Undecidable
+-- (what each aggregate refuses: see `runs/refusals.py`)
"""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """The command takes no effect and never will."""

    code: ClassVar[str] = "refused"
    remembered: ClassVar[bool] = True
    """Whether the command's id gets this answer for ever. Not if the id belongs to another command, not for workers and
    deadlines, whose commands name attempts and times, and not if a newer version may decide otherwise."""

    def __init__(self, message: str | None = None, **details: Any) -> None:
        super().__init__(message or type(self).__doc__)
        self.details = details

    @property
    def message(self) -> str:
        """The sentence that a person reads."""
        return str(self)


class IdempotencyKeyReused(Refusal):
    """This Idempotency-Key came before with another body."""

    code = "idempotency_key_reused"
    remembered = False


class NewerHistory(Refusal):
    """The history holds an event of a kind that this version does not know."""

    code = "newer_history"
    remembered = False


class PayloadTooLarge(Refusal):
    """What this would record or answer is larger than a record may be; send large values as artifacts."""

    code = "payload_too_large"


class Undecidable(Refusal):
    """Deciding this met a fault of ours; the command is kept as a dead letter."""

    code = "internal_error"
