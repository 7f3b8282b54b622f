"""The review configuration of a run, and the vocabulary in which policy gives its reasons."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from operator import not_
from typing import Annotated

from pydantic import Field

from contracts.base import Identifier, JsonObject, Message


class Step(StrEnum):
    """The checkpoints at which a run can stop for a person."""

    INFORMATION_REVIEW = "information_review"
    PAYLOAD_REVIEW = "payload_review"
    RESPONSE_REVIEW = "response_review"
    ERROR_REVIEW = "error_review"


class ReviewStep(StrEnum):
    """The checkpoints that `allowed_steps` switches on; an error review follows `on_error` and `on_uncertain`."""

    INFORMATION_REVIEW = "information_review"
    PAYLOAD_REVIEW = "payload_review"
    RESPONSE_REVIEW = "response_review"


class Policy(StrEnum):
    """Who looks: nobody, a person at every allowed step, or a person where a threshold is crossed."""

    AUTO = "auto"
    REQUIRE_HUMAN = "require_human"
    AUTO_WITH_THRESHOLDS = "auto_with_thresholds"


class OnTimeout(StrEnum):
    """What happens when nobody decides in time."""

    FAIL = "fail"
    CANCEL = "cancel"
    APPROVE = "approve"
    ESCALATE = "escalate"


class OnError(StrEnum):
    """What happens when retries are exhausted or an error is one that no retry mends."""

    REVIEW = "review"
    FAIL = "fail"


class OnUncertain(StrEnum):
    """What happens to a call that may have happened and cannot be asked about."""

    REVIEW = "review"
    RETRY = "retry"
    FAIL = "fail"


class ReviewThresholds(Message):
    """The bounds of `auto_with_thresholds`: outside any of them a person looks."""

    confidence_min: Annotated[float, Field(ge=0, le=1)] = 0.8
    safety_flags: tuple[Identifier, ...] = ("nsfw", "pii", "copyright")
    payload_changes_max: Annotated[int, Field(ge=0, le=1000)] = 3
    response_quality_min: Annotated[float, Field(ge=0, le=1)] = 0.7


Budget = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6)]
"""Money for calls, in US dollars."""


class HitlConfig(Message):
    """How a run is reviewed. Durations are seconds."""

    policy: Policy = Policy.AUTO
    review_thresholds: ReviewThresholds = ReviewThresholds()
    allowed_steps: tuple[ReviewStep, ...] = Field(
        (), description="Steps that may stop the run; empty means every step."
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=31_536_000)] = 3600
    on_timeout: OnTimeout = OnTimeout.FAIL
    on_error: OnError | None = Field(None, description="Defaults to `review`, under the policy `auto` to `fail`.")
    on_uncertain: OnUncertain = OnUncertain.REVIEW
    max_attempts: Annotated[int, Field(ge=1, le=20)] = Field(
        3, description="Tries of one preparation or call before its error is final."
    )
    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = Field(
        60, description="How long a worker may be silent before its work counts as lost."
    )
    checks: tuple[Identifier, ...] = Field(
        (), max_length=20, exclude_if=not_, description="Checks beyond those that the operator has for every run."
    )
    budget: Budget | None = Field(
        None,
        exclude_if=not_,
        description="What the run's calls may cost in all, in US dollars, before a person is asked.",
    )

    def errors_go_to(self) -> OnError:
        """Say where a final error goes when the run did not choose."""
        if self.on_error is not None:
            return self.on_error
        return OnError.FAIL if self.policy is Policy.AUTO else OnError.REVIEW

    def allows(self, step: Step) -> bool:
        """Say whether `step` may stop the run at all."""
        return not self.allowed_steps or step.value in self.allowed_steps


COST_CHECK = "cost"
"""The check that holds calls to budgets."""


class Finding(Message):
    """What a check found in a payload or a response. `force` asks for a person whatever the run's policy says.

    `data` says where and how much, and never repeats what was found.
    """

    check: str
    code: str
    message: str
    flags: tuple[str, ...] = ()
    force: bool = False
    data: JsonObject = Field(default_factory=dict)


class Signals(Message):
    """What a provider measured about a preparation or a response, and what checks found. None means it was not measured.

    The flags of the findings are among `safety_flags`.
    """

    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    safety_flags: tuple[str, ...] = ()
    payload_changes: Annotated[int, Field(ge=0)] | None = None
    response_quality: Annotated[float, Field(ge=0, le=1)] | None = None
    findings: tuple[Finding, ...] = Field((), exclude_if=not_)

    @property
    def forced(self) -> tuple[Finding, ...]:
        """The findings that ask for a person whatever the run's policy says."""
        return tuple(finding for finding in self.findings if finding.force)


class Reason(Message):
    """Why policy stopped a run, or let it pass."""

    code: str
    message: str
