"""Events of orders to workers, and of their answers."""

from __future__ import annotations

from operator import not_

from pydantic import Field

from contracts.json_values import ComposedObject
from contracts.message import Timestamp
from contracts.providers.call import Checked, Ending, Execution, Failure, Preparation, Spent
from contracts.providers.routing import Candidate
from contracts.providers.signals import Reason
from contracts.runs.config import Step
from contracts.runs.events.base import Change, Event


class _Ordered(Event):
    work_id: str
    attempt: int
    lease_until: Timestamp


class PreparationOrdered(_Ordered):
    kind = "preparation-ordered.v1"


class CheckOrdered(_Ordered):
    """What a person edited is priced and checked again before it counts."""

    kind = "check-ordered.v1"
    step: Step


class CallOrdered(_Ordered):
    """The intent to call, durable before the call: these bytes, this attempt. `in_one`: the worker that prepared them makes it."""

    kind = "call-ordered.v1"
    payload_sha256: str
    in_one: bool = Field(default=False, exclude_if=not_)


class LeaseExtended(_Ordered):
    """The worker is alive. `waits_for` is what the order waits for before it begins: `limit`, a rate limit of the account."""

    kind = "lease-extended.v1"
    waits_for: str | None = Field(None, exclude_if=not_)


class CallDoubted(_Ordered):
    """No worker reported on the call: it is ordered once more, and begun only by a worker that finds no claim on it."""

    kind = "call-doubted.v1"


class _Answered(Event):
    work_id: str
    attempt: int


class CallNoted(_Answered):
    """The provider accepted the call, and can be asked about it by this id."""

    kind = "call-noted.v1"
    provider_call_id: str


class RunPrepared(_Answered):
    kind = "run-prepared.v1"
    preparation: Preparation


class PreparationFailed(_Answered):
    kind = "preparation-failed.v1"
    failure: Failure


class SubjectChecked(_Answered):
    """An edited subject was priced and checked. With `reasons` a person looks at it again."""

    kind = "subject-checked.v1"
    step: Step
    checked: Checked
    reasons: tuple[Reason, ...] = ()


class CheckFailed(_Answered):
    kind = "check-failed.v1"
    failure: Failure


class CallSucceeded(_Answered):
    kind = "call-succeeded.v1"
    execution: Execution


class CallFailed(_Answered):
    kind = "call-failed.v1"
    failure: Failure


class CallStopped(_Answered):
    """A call has ended whose answer is not awaited: its run is over, or was paused before the call began.

    `spent` is its cost as far as that is known.
    """

    kind = "call-stopped.v1"
    ending: Ending
    spent: Spent
    failure: Failure | None = None
    provider_request_id: str | None = None


class RouteFellBack(Event):
    """The route's candidate could not carry the call, for this reason; another candidate is prepared."""

    kind = "route-fell-back.v1"
    failed: Candidate
    reason: Reason


class RetryScheduled(Event):
    """The next attempt is made at `retry_at`. `waits_for` is what an attempt waits for that was ordered and not begun: `limit`."""

    kind = "retry-scheduled.v1"
    work_id: str
    attempt: int
    retry_at: Timestamp
    waits_for: str | None = Field(None, exclude_if=not_)


class PayloadFixed(Event):
    """Policy applied the fixes that need no person."""

    kind = "payload-fixed.v1"
    payload: ComposedObject
    payload_sha256: str
    diff: tuple[Change, ...]
