"""Hypothesis strategies: any configuration, any facts from a worker, any edit.

Small by choice, so that collisions are likely; more often valid than not, so that runs get far.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.json_values import MAX_DEPTH, JsonObject
from contracts.providers.call import Checked, Execution, Failure, Issue, Preparation, Severity, catalog_schema
from contracts.providers.signals import Finding, Signals
from contracts.runs.config import HitlConfig, OnError, OnTimeout, OnUncertain, Policy, ReviewStep, ReviewThresholds
from contracts.runs.events import RunPrepared
from contracts.runs.tasks.rules import ReviewRules
from testkit.messages.golden import sample_events
from testkit.runs.commands import PAYLOAD, PAYLOAD_SCHEMA

_prepared = sample_events()["run-prepared.v1"].data
assert isinstance(_prepared, RunPrepared)
_PREPARATION = _prepared.preparation
assert _PREPARATION.capabilities is not None


def nested(levels: int) -> JsonObject:
    """Return an object nested `levels` deep."""
    value: Any = {}
    for _ in range(levels - 1):
        value = {"x": value}
    return {"x": value}


_scalars = st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, -0.0, 0.5, 2**53 - 1, 1e300, "", "a", "é", "\ue000"])
json_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abx~/"), inner, max_size=2),
    max_leaves=4,
)
json_objects: st.SearchStrategy[JsonObject] = (
    st.dictionaries(st.sampled_from(["a", "b", "x", "prompt", "temperature", "text"]), json_values, max_size=3)
    | st.just({})
    | st.just(nested(MAX_DEPTH))
)
"""Objects whose names collide; now and then one at the largest depth."""

edits = json_objects | st.sampled_from([{"provider": "openai"}, {"prompt": "changed"}, {"text": "changed"}, {"x": 1}])

_fraction = st.none() | st.sampled_from([0.0, 0.5, 0.8, 1.0])
findings = st.builds(
    Finding, check=st.sampled_from(["pii", "cost"]), code=st.just("found"), message=st.just("m"), force=st.booleans()
)
signals = st.builds(
    Signals,
    confidence=_fraction,
    safety_flags=st.sampled_from([(), ("pii",), ("odd",)]),
    payload_changes=st.none() | st.sampled_from([0, 3, 4]),
    response_quality=_fraction,
    findings=st.just(()) | st.just(()) | st.lists(findings, max_size=2).map(tuple),
)

configs = st.builds(
    HitlConfig,
    policy=st.sampled_from(Policy),
    review_thresholds=st.sampled_from(
        [
            ReviewThresholds(),
            ReviewThresholds(confidence_min=0, safety_flags=(), payload_changes_max=1000, response_quality_min=0),
        ]
    ),
    allowed_steps=st.lists(st.sampled_from(ReviewStep), unique=True).map(tuple),
    timeout_seconds=st.sampled_from([0.001, 60, 3600]),
    on_timeout=st.sampled_from(OnTimeout),
    on_error=st.none() | st.sampled_from(OnError),
    on_uncertain=st.sampled_from(OnUncertain),
    max_attempts=st.integers(1, 3),
    lease_seconds=st.sampled_from([1, 60]),
)

issues = st.lists(
    st.builds(
        Issue,
        code=st.sampled_from(["a", "b"]),
        message=st.just("wrong"),
        path=st.sampled_from(["", "/temperature"]),
        severity=st.sampled_from(Severity),
        suggested_fix=st.none() | json_objects,
        auto_fixable=st.booleans(),
    ),
    max_size=2,
).map(tuple)

_harmless: list[JsonObject] = [{}, PAYLOAD_SCHEMA, {"type": "object"}]
schemas = st.sampled_from([*_harmless, *_harmless, {"required": ["a"]}, {"type": 5}, {"$ref": "#/no"}])
costs = st.none() | st.sampled_from([Decimal("0.01"), Decimal(0), Decimal("1E+3")])

preparations = st.builds(
    Preparation,
    provider=st.sampled_from(["sandbox", "openai"]),
    model=st.none() | st.just("m"),
    operation=st.just("text"),
    payload=st.just(PAYLOAD) | st.just({**PAYLOAD, "temperature": 3}) | json_objects,
    payload_schema=schemas,
    issues=st.just(()) | st.just(()) | issues,
    estimate=costs,
    signals=signals,
    safe_to_repeat=st.booleans(),
    capabilities=st.none() | st.just(_PREPARATION.capabilities.model_copy(update={"rate_limit": nested(60)})),
    routing=st.none() | st.just(_PREPARATION.routing),
    intent_schema=st.none() | st.sampled_from([catalog_schema(["sandbox", "openai"]), {}, {"type": "object"}]),
)

executions = st.builds(
    Execution,
    raw=json_values | json_objects,
    response=json_objects,
    response_schema=schemas,
    signals=signals,
    usage=json_objects,
    cost=costs,
    latency_ms=st.integers(0, 10),
    provider_request_id=st.none() | st.just("r"),
    checks=st.sampled_from([(), ("pii",)]),
)

checks = st.builds(
    Checked,
    model=st.none() | st.just("m"),
    issues=st.just(()) | st.just(()) | issues,
    estimate=costs,
    signals=signals,
)

failures = st.builds(
    Failure,
    code=st.sampled_from(["rate_limited", "broken", "budget_exceeded"]),
    message=st.just("it broke"),
    status=st.none() | st.just(429),
    retryable=st.booleans(),
    retry_after=st.none() | st.sampled_from([0.0, 5.0, 1e6, 1e300]),
    uncertain=st.booleans(),
    issues=issues,
)


class Move(NamedTuple):
    """The next answer of the person, worker or clock that a run waits for; which member counts depends on which of them."""

    how: str
    preparation: Preparation
    checked: Checked
    execution: Execution
    failure: Failure
    edits: JsonObject


moves = st.builds(
    Move,
    how=st.sampled_from(["succeed"] * 6 + ["fail", "due", "edit"]),
    preparation=preparations,
    checked=checks,
    execution=executions,
    failure=failures,
    edits=edits,
)

PERSONS = ("ann", "bo", "cy", "di", "adam")
"""Reviewers; Adam is an administrator."""

GROUPS = ("legal", "leads")

_candidates: st.SearchStrategy[JsonObject] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"users": st.lists(st.sampled_from(PERSONS), max_size=3, unique=True)}),
    st.fixed_dictionaries({"groups": st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2, unique=True)}),
    st.just({"users": ["ann", "bo", "cy"]}),
    st.just({"users": ["ann"], "groups": ["legal"]}),
)
_durations = st.sampled_from([5, 60, 600])
_stage = st.fixed_dictionaries({"approvals_required": st.sampled_from([1, 1, 2])}, optional={"candidates": _candidates})


def _can_be_met(rules: dict[str, Any]) -> bool:
    try:
        ReviewRules.model_validate(rules)
    except ValidationError:
        return False
    return True


review_rules = (
    st.fixed_dictionaries(
        {
            "candidates": _candidates,
            "approvals_required": st.sampled_from([1, 2, 2, 3]),
            "on_reject": st.sampled_from(["veto", "majority"]),
            "four_eyes": st.booleans(),
        },
        optional={
            "claim": st.sampled_from(["optional", "required"]),
            "lease_seconds": st.sampled_from([1, 8, 600]),
            "start_by_seconds": _durations,
            "due_seconds": _durations,
            "reminders_seconds": st.lists(_durations, max_size=3),
            "follow_up_at": st.sampled_from(["2020-01-01T00:00:00Z", "2026-03-02T09:10:00Z"]),
            "escalate_after_seconds": _durations,
            "escalate_to": st.sampled_from([{"groups": ["leads"]}, {"users": ["di", "adam"]}]),
            "stages": st.lists(_stage, max_size=3).map(
                lambda stages: [{"name": str(place), **stage} for place, stage in enumerate(stages)]
            ),
        },
    )
    .filter(_can_be_met)
    .map(ReviewRules.model_validate)
)
"""The rules of a review among PERSONS and GROUPS."""
