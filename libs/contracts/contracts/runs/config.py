"""The review configuration of a run: which steps stop it, and what happens on a timeout, an error and an uncertain call."""

from __future__ import annotations

from enum import StrEnum
from operator import not_
from typing import Annotated, Self

from pydantic import Field, model_validator

from contracts.message import Message, StoredIdentifier
from contracts.providers.call import Budget
from contracts.runs.tasks.rules import ReviewRules

HOUR = 3600.0
MOST_SECONDS = 31_536_000.0
"""A year."""


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

    policy: Policy = Field(Policy.AUTO, description="Where rules of a review are given, `require_human`.")
    review_thresholds: ReviewThresholds = ReviewThresholds()
    allowed_steps: tuple[ReviewStep, ...] = Field(
        (), fail_fast=True, description="Steps that may stop the run; empty means every step."
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=MOST_SECONDS)] = Field(
        HOUR, description="How long a review waits; an hour longer than the last time of its rules where that is later."
    )
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

    @model_validator(mode="after")
    def _follow_from_rules(self) -> Self:
        """Who says who must agree, and by when, wants persons to look, and not to be cut off before."""
        rules = [*self.reviews.values(), *([] if self.review is None else [self.review])]
        if not rules:
            return self
        # In place: what is said of a frozen model here is said before any other sees it.
        if "policy" not in self.model_fields_set:
            self.__dict__["policy"] = Policy.REQUIRE_HUMAN
        latest = max(each.latest_seconds for each in rules)
        if "timeout_seconds" not in self.model_fields_set and latest > self.timeout_seconds:
            self.__dict__["timeout_seconds"] = min(latest + HOUR, MOST_SECONDS)
        return self

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
