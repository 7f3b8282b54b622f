"""What the clock says: a time has come that a run waits for."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from contracts.runs.commands.base import Command
from contracts.runs.commands.work import AboutWork


class ExpireLease(AboutWork):
    kind: Literal["expire-lease.v1"] = "expire-lease.v1"


class RetryWork(AboutWork):
    """The back-off is over: make this attempt."""

    kind: Literal["retry-work.v1"] = "retry-work.v1"


class ExpireCheckpoint(Command):
    kind: Literal["expire-checkpoint.v1"] = "expire-checkpoint.v1"
    checkpoint_id: UUID
    escalations: int = 0
