"""The policy: whether a person reviews a step, and why. No other module stops a run for a review or lets it pass one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from contracts.providers.signals import Reason, Signals
from contracts.runs.config import HitlConfig, Policy, Step


@dataclass(frozen=True, slots=True)
class Pause:
    """A person reviews the step, for these reasons."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """The run goes on. `silent`: the step is switched off, so no event records that it passed."""

    reasons: tuple[Reason, ...]
    silent: bool = False


def review(step: Step, signals: Signals, config: HitlConfig, *, invalid: bool = False) -> Pause | Pass:
    """Return whether `step` stops the run. `invalid`: the subject of the review has errors.

    A threshold whose signal was not measured stops the run. A check that forces the review of a payload or a response
    stops it under every configuration; the policy's own reasons follow the check's.
    """
    forced = forcing(step, signals)
    verdict = _by_policy(step, signals, config, invalid=invalid)
    if not forced:
        return verdict
    return Pause((*forced, *(verdict.reasons if isinstance(verdict, Pause) else ())))


def needs_no_review(config: HitlConfig) -> bool:
    """Return whether a payload goes to no person, as long as nothing about it is in question."""
    return config.policy is Policy.AUTO or not (
        config.allows(Step.INFORMATION_REVIEW) or config.allows(Step.PAYLOAD_REVIEW)
    )


def forcing(step: Step, signals: Signals) -> tuple[Reason, ...]:
    """Return why checks force a review at `step`. Only a person can then let the run go on."""
    if step is Step.INFORMATION_REVIEW or not signals.findings:
        return ()
    return tuple(Reason(code=finding.code, message=finding.message) for finding in signals.forced)


def review_edit(edited: Signals, config: HitlConfig, *, invalid: bool) -> tuple[Reason, ...]:
    """Return why a person looks again at what a person edited; none if the edit counts.

    Only an approval of the very bytes in which a check found something lets them pass. `invalid`: the edited subject has errors.
    """
    reasons = [Reason(code=found.code, message=found.message) for found in edited.forced]
    if invalid:
        reasons.append(_INVALID)
    if config.policy is Policy.AUTO_WITH_THRESHOLDS:
        reasons += _flagged(edited, config)
    return tuple(reasons)


def _by_policy(step: Step, signals: Signals, config: HitlConfig, *, invalid: bool) -> Pause | Pass:
    if not config.allows(step):
        return _NOT_ALLOWED[step]
    match config.policy:
        case Policy.AUTO:
            return _AUTO
        case Policy.REQUIRE_HUMAN:
            return _REQUIRED
        case Policy.AUTO_WITH_THRESHOLDS:
            reasons = tuple(_crossed(step, signals, config, invalid=invalid))
            if reasons:
                return Pause(reasons)
            return _WITHIN
        case _:
            assert_never(config.policy)


_AUTO = Pass((Reason(code="policy_auto", message="the policy lets every step pass"),))
_REQUIRED = Pause((Reason(code="policy_requires_human", message="the policy asks a person at every allowed step"),))
_WITHIN = Pass((Reason(code="within_thresholds", message="every signal is within its threshold"),))
_INVALID = Reason(code="payload_invalid", message="the payload has errors that a person must mend")
_NOT_ALLOWED = {
    step: Pass((Reason(code="step_not_allowed", message=f"{step.value} is not among the allowed steps"),), silent=True)
    for step in Step
}


def _crossed(step: Step, signals: Signals, config: HitlConfig, *, invalid: bool) -> Iterator[Reason]:
    bounds = config.review_thresholds
    if invalid:
        yield _INVALID
    yield from _at_least("confidence", signals.confidence, bounds.confidence_min)
    yield from _flagged(signals, config)
    if step is Step.PAYLOAD_REVIEW:
        changes = signals.payload_changes
        if changes is None:
            yield _not_measured("payload_changes")
        elif changes > bounds.payload_changes_max:
            most = bounds.payload_changes_max
            yield Reason(
                code="payload_changes_above_max", message=f"{changes} changes to the payload, at most {most} may pass"
            )
    if step is Step.RESPONSE_REVIEW:
        yield from _at_least("response_quality", signals.response_quality, bounds.response_quality_min)


def _flagged(signals: Signals, config: HitlConfig) -> Iterator[Reason]:
    if flagged := sorted(set(signals.safety_flags) & set(config.review_thresholds.safety_flags)):
        yield Reason(code="safety_flagged", message=f"flagged as {', '.join(flagged)}")


def _at_least(name: str, measured: float | None, least: float) -> Iterator[Reason]:
    if measured is None:
        yield _not_measured(name)
    elif measured < least:
        yield Reason(code=f"{name}_below_min", message=f"{name} is {measured:g}, at least {least:g} may pass")


def _not_measured(name: str) -> Reason:
    return Reason(code=f"{name}_not_measured", message=f"{name} was not measured")
