"""The values that the sample messages are made of, every member filled in with what is not its default."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from contracts.json_values import digest
from contracts.providers.call import CallIntent, Execution, Failure, Issue, Preparation, Severity, Spent
from contracts.providers.capabilities import Capabilities, ModelInfo
from contracts.providers.routing import Candidate, Considered, Routing
from contracts.providers.signals import Finding, Reason, Signals
from contracts.runs import events as e
from contracts.runs.config import (
    HitlConfig,
    OnError,
    OnTimeout,
    OnUncertain,
    Policy,
    ReviewStep,
    ReviewThresholds,
    Step,
)
from contracts.runs.requests import RunRequest

AT = datetime(2026, 3, 2, 9, 30, 0, 125_000, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
RUN, COMMAND, CHECKPOINT = UUID(int=0xC0), UUID(int=0xA0), UUID(int=0xCC)
SUBJECT = {"prompt": "a red bicycle", "temperature": 0.5, "tags": ["é", None, True, 1e-7]}
SCHEMA = {"type": "object", "required": ["prompt"]}
SHA = digest(SUBJECT)
WORK = {"work_id": f"{RUN}.1", "attempt": 2}
OWNER = {"user_id": "u1", "session_id": "s1"}
HELD_TO = {"checks": ("secrets",), "budget": Decimal("1.50"), "lease_seconds": 30}
CHECKED = {"checkpoint_id": CHECKPOINT, "step": Step.PAYLOAD_REVIEW}
SAID = {"subject_sha256": SHA, "comment": "fine", "message": "thank you"}
REASONS = (Reason(code="policy_requires_human", message="the policy asks a person at every allowed step"),)

ISSUE = Issue(
    code="too_hot",
    message="at most 2",
    path="/temperature",
    severity=Severity.WARNING,
    suggested_fix={"temperature": 2},
    auto_fixable=True,
)
FINDING = Finding(
    check="pii",
    code="pii_found",
    message="Looks like personal data: credit card (1), in /prompt.",
    flags=("pii",),
    force=True,
    data={"kinds": {"CREDIT_CARD": 1}, "places": ["/prompt"]},
)
SIGNALS = Signals(confidence=0.5, safety_flags=("pii",), payload_changes=4, response_quality=0.25, findings=(FINDING,))
FAILURE = Failure(
    code="rate_limited",
    message="slow down",
    status=429,
    retryable=True,
    retry_after=7.5,
    uncertain=True,
    issues=(ISSUE,),
)
CAPABILITIES = Capabilities(
    provider="sandbox",
    description="answers by rule",
    tool_names=("echo",),
    operations=("text", "json"),
    default_operation="text",
    models=(ModelInfo(name="sandbox-1", operations=("text",), description="the only one"),),
    default_model="sandbox-1",
    any_model=True,
    safe_to_repeat=True,
    configured=False,
    rate_limit={"per_minute": 60},
    circuit="half_open",
)
CANDIDATE = Candidate(provider="anthropic", model="claude-haiku-5-5")
ROUTING = Routing(
    route="cheap-text",
    rule=2,
    reason=Reason(code="cheapest", message="it costs least of those that are up"),
    considered=(
        Considered(
            provider="openai",
            model="gpt-5-mini",
            estimate=Decimal("0.0100"),
            reason=Reason(code="circuit_open", message="it was down for the last calls"),
        ),
    ),
    others=(CANDIDATE,),
)
PREPARATION = Preparation(
    provider="sandbox",
    model="sandbox-1",
    operation="text",
    payload=SUBJECT,
    payload_schema=SCHEMA,
    issues=(ISSUE,),
    estimate=Decimal("0.0100"),
    currency="EUR",
    signals=SIGNALS,
    safe_to_repeat=True,
    capabilities=CAPABILITIES,
    intent_schema={"type": "object"},
    routing=ROUTING,
)
EXECUTION = Execution(
    raw={"id": 7},
    response={"text": "It is red."},
    response_schema=SCHEMA,
    signals=SIGNALS,
    usage={"tokens": 9},
    cost=Decimal("0.0300"),
    latency_ms=12,
    provider_request_id="req-1",
)
SPENT = Spent(usage={"output_tokens": 9}, cost=Decimal("0.0020"), currency="EUR", estimated=True)
ERROR = e.RunError(code="validation_failed", message="no", step=Step.PAYLOAD_REVIEW, issues=(ISSUE,), attempts=3)
DIFF = (e.Change(path="/temperature", before=0.5, after={"a~b": [1]}),)
REQUEST = RunRequest(
    prompt="a red bicycle",
    provider="openai",
    model="gpt-5-mini",
    operation="text",
    parameters={"temperature": 0.2},
    attachments=(f"artifact:sha256:{SHA}", "https://example.com/a.png"),
    user_id="u1",
    session_id="s1",
    callback_url="https://example.com/called",
    labels={"team": "ads"},
    hitl_config=HitlConfig(
        policy=Policy.AUTO_WITH_THRESHOLDS,
        review_thresholds=ReviewThresholds(
            confidence_min=0.9, safety_flags=("nsfw",), payload_changes_max=1, response_quality_min=0.6
        ),
        allowed_steps=(ReviewStep.PAYLOAD_REVIEW, ReviewStep.RESPONSE_REVIEW),
        timeout_seconds=600,
        on_timeout=OnTimeout.ESCALATE,
        on_error=OnError.REVIEW,
        on_uncertain=OnUncertain.FAIL,
        max_attempts=5,
        lease_seconds=30,
        checks=("secrets",),
        budget=Decimal("1.50"),
    ),
    tool={"name": "flux"},
)
INTENT = CallIntent(
    provider="openai",
    model="gpt-5-mini",
    operation="text",
    prompt="a red bicycle",
    parameters={"temperature": 0.2},
    attachments=("https://example.com/a.png",),
)
