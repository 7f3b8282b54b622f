"""The review configuration of a run: which steps stop it, and what happens on a timeout, an error and an uncertain call."""

from __future__ import annotations

from enum import StrEnum
from operator import not_
from typing import Annotated

from pydantic import Field

from contracts.message import Message, StoredIdentifier
from contracts.providers.call import Budget
from contracts.runs.tasks.rules import ReviewRules


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
    """Whether a person looks: never, at every allowed step, or where a threshold is crossed."""

    AUTO = "auto"
    REQUIRE_HUMAN = "require_human"
    AUTO_WITH_THRESHOLDS = "auto_with_thresholds"


class OnTimeout(StrEnum):
    """What happens when no person decides in time."""

    FAIL = "fail"
    CANCEL = "cancel"
    APPROVE = "approve"
    ESCALATE = "escalate"


class OnError(StrEnum):
    """What happens when retries are exhausted or cannot help."""

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
    safety_flags: tuple[StoredIdentifier, ...] = Field(("nsfw", "pii", "copyright"), fail_fast=True)
    payload_changes_max: Annotated[int, Field(ge=0, le=1000)] = 3
    response_quality_min: Annotated[float, Field(ge=0, le=1)] = 0.7


class HitlConfig(Message):
    """How a run is reviewed. Durations are seconds."""

    policy: Policy = Policy.AUTO
    review_thresholds: ReviewThresholds = ReviewThresholds()
    allowed_steps: tuple[ReviewStep, ...] = Field(
        (), fail_fast=True, description="Steps that may stop the run; empty means every step."
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
    checks: tuple[StoredIdentifier, ...] = Field(
        (),
        max_length=20,
        fail_fast=True,
        exclude_if=not_,
        description="Checks beyond those that the operator has for every run.",
    )
    budget: Budget | None = Field(
        None,
        exclude_if=not_,
        description="What the run's calls may cost in all, in US dollars, before a person is asked.",
    )
    review: ReviewRules | None = Field(
        None, exclude_if=not_, description="The rules of every review: who is asked, how many must agree, and by when."
    )
    reviews: dict[Step, ReviewRules] = Field(
        default_factory=dict, exclude_if=not_, description="Rules of one step, in place of those of `review`."
    )

    def errors_go_to(self) -> OnError:
        """Return where a final error goes, also when the run did not choose."""
        if self.on_error is not None:
            return self.on_error
        return OnError.FAIL if self.policy is Policy.AUTO else OnError.REVIEW

    def rules_of(self, step: Step) -> ReviewRules | None:
        """Return the rules of a step's review; None where any one reviewer decides."""
        return self.reviews.get(step, self.review)

    def allows(self, step: Step) -> bool:
        """Return whether `step` may stop the run at all."""
        return not self.allowed_steps or step.value in self.allowed_steps
