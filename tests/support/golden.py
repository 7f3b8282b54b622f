"""One message of every kind, every member filled in, and the golden files that hold their bytes.

A golden file is a promise: what was once written can be read for ever. Run this module to write the files that are
missing; it never touches one that is there. When a kind grows by a member, keep its old file as `<kind>.1.json` (2, 3,
...), which must still be read, and write `<kind>.json` anew.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from contracts.base import Message, digest
from contracts.live import PartialOutput, StopCall
from contracts.policy import (
    Finding,
    HitlConfig,
    OnError,
    OnTimeout,
    OnUncertain,
    Policy,
    Reason,
    ReviewStep,
    ReviewThresholds,
    Signals,
    Step,
)
from contracts.routing import Candidate, Considered, Routing
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.outcomes import Accepted, Refused
from contracts.runs.requests import RunRequest
from contracts.runs.views import Approval, Checkpoint, RunView, State
from contracts.work import (
    CallIntent,
    Capabilities,
    Cost,
    Ending,
    ExecuteOrder,
    Execution,
    Failure,
    Issue,
    ModelInfo,
    Preparation,
    PrepareOrder,
    Severity,
    Spent,
)

FOLDER = Path(__file__).parents[1] / "golden"

_AT = datetime(2026, 3, 2, 9, 30, 0, 125_000, tzinfo=UTC)
_LATER = _AT + timedelta(hours=1)
_RUN, _COMMAND, _CHECKPOINT = UUID(int=0xC0), UUID(int=0xA0), UUID(int=0xCC)
_SUBJECT = {"prompt": "a red bicycle", "temperature": 0.5, "tags": ["é", None, True, 1e-7]}
_SCHEMA = {"type": "object", "required": ["prompt"]}
_SHA = digest(_SUBJECT)
_WORK = {"work_id": f"{_RUN}.1", "attempt": 2}
_OWNER = {"user_id": "u1", "session_id": "s1"}
_HELD_TO = {"checks": ("secrets",), "budget": Decimal("1.50"), "lease_seconds": 30}
_CHECKED = {"checkpoint_id": _CHECKPOINT, "step": Step.PAYLOAD_REVIEW}
_SAID = {"subject_sha256": _SHA, "comment": "fine", "message": "thank you"}
_REASONS = (Reason(code="policy_requires_human", message="the policy asks a person at every allowed step"),)

_ISSUE = Issue(
    code="too_hot",
    message="at most 2",
    path="/temperature",
    severity=Severity.WARNING,
    suggested_fix={"temperature": 2},
    auto_fixable=True,
)
_FINDING = Finding(
    check="pii",
    code="pii_found",
    message="Looks like personal data: credit card (1), in /prompt.",
    flags=("pii",),
    force=True,
    data={"kinds": {"CREDIT_CARD": 1}, "places": ["/prompt"]},
)
_SIGNALS = Signals(
    confidence=0.5, safety_flags=("pii",), payload_changes=4, response_quality=0.25, findings=(_FINDING,)
)
_FAILURE = Failure(
    code="rate_limited",
    message="slow down",
    status=429,
    retryable=True,
    retry_after=7.5,
    uncertain=True,
    issues=(_ISSUE,),
)
_CAPABILITIES = Capabilities(
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
_CANDIDATE = Candidate(provider="anthropic", model="claude-haiku-5-5")
_ROUTING = Routing(
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
    others=(_CANDIDATE,),
)
_PREPARATION = Preparation(
    provider="sandbox",
    model="sandbox-1",
    operation="text",
    payload=_SUBJECT,
    payload_schema=_SCHEMA,
    issues=(_ISSUE,),
    estimate=Decimal("0.0100"),
    currency="EUR",
    signals=_SIGNALS,
    safe_to_repeat=True,
    capabilities=_CAPABILITIES,
    intent_schema={"type": "object"},
    routing=_ROUTING,
)
_EXECUTION = Execution(
    raw={"id": 7},
    response={"text": "It is red."},
    response_schema=_SCHEMA,
    signals=_SIGNALS,
    usage={"tokens": 9},
    cost=Decimal("0.0300"),
    latency_ms=12,
    provider_request_id="req-1",
)
_SPENT = Spent(usage={"output_tokens": 9}, cost=Decimal("0.0020"), currency="EUR", estimated=True)
_ERROR = e.RunError(code="validation_failed", message="no", step=Step.PAYLOAD_REVIEW, issues=(_ISSUE,), attempts=3)
_DIFF = (e.Change(path="/temperature", before=0.5, after={"a~b": [1]}),)
_REQUEST = RunRequest(
    prompt="a red bicycle",
    provider="openai",
    model="gpt-5-mini",
    operation="text",
    parameters={"temperature": 0.2},
    attachments=(f"artifact:sha256:{_SHA}", "https://example.com/a.png"),
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
_INTENT = CallIntent(
    provider="openai",
    model="gpt-5-mini",
    operation="text",
    prompt="a red bicycle",
    parameters={"temperature": 0.2},
    attachments=("https://example.com/a.png",),
)


def samples() -> dict[str, Message]:
    """Return one message of every kind that travels, by its kind; capabilities are what `provider.catalog` carries."""
    messages: list[Any] = [*_commands(), *_outcomes(), *_orders(), *_of_running_calls()]
    return {
        **{event.kind: _recorded(event) for event in _events()},
        **{message.kind: message for message in messages},
        "capabilities": _CAPABILITIES,
    }


def _recorded(event: e.Event) -> e.RunEvent:
    return e.RunEvent(
        kind=event.kind,
        run_id=_RUN,
        version=4,
        at=_AT,
        tenant="acme",
        user_id="u1",
        session_id="s1",
        actor="ann",
        cause=_COMMAND,
        request_sha256=_SHA,
        data=event,
    )


def _events() -> Iterator[e.Event]:
    yield e.RunStarted(request=_REQUEST, work_id=f"{_RUN}.1", lease_until=_LATER)
    yield e.PreparationOrdered(**_WORK, lease_until=_LATER)
    yield e.CallOrdered(**_WORK, lease_until=_LATER, payload_sha256=_SHA)
    yield e.CallDoubted(**_WORK, lease_until=_LATER)
    yield e.LeaseExtended(**_WORK, lease_until=_LATER)
    yield e.CallNoted(**_WORK, provider_call_id="prediction-7")
    yield e.CallStopped(**_WORK, ending=Ending.STOPPED, spent=_SPENT, failure=_FAILURE, provider_request_id="req-1")
    yield e.RunPrepared(**_WORK, preparation=_PREPARATION)
    yield e.PreparationFailed(**_WORK, failure=_FAILURE)
    yield e.CallSucceeded(**_WORK, execution=_EXECUTION)
    yield e.CallFailed(**_WORK, failure=_FAILURE)
    yield e.RouteFellBack(failed=_CANDIDATE, reason=Reason(code="rate_limited", message="slow down"))
    yield e.RetryScheduled(**_WORK, retry_at=_LATER)
    yield e.PayloadFixed(payload=_SUBJECT, payload_sha256=_SHA, diff=_DIFF)
    yield e.StepPassed(step=Step.RESPONSE_REVIEW, reasons=_REASONS)
    yield e.CheckpointOpened(
        **_CHECKED,
        reasons=_REASONS,
        subject=_SUBJECT,
        subject_sha256=_SHA,
        subject_schema=_SCHEMA,
        issues=(_ISSUE,),
        context={"estimated_cost": "0.0100"},
        expires_at=_LATER,
        approvals_required=2,
    )
    yield e.CheckpointApproved(**_CHECKED, **_SAID)
    yield e.CheckpointEdited(**_CHECKED, **_SAID, edits={"temperature": None}, subject=_SUBJECT, diff=_DIFF)
    yield e.CheckpointRejected(**_CHECKED, **_SAID, reason="no")
    yield e.CheckpointExpired(**_CHECKED, on_timeout=OnTimeout.CANCEL)
    yield e.CheckpointEscalated(**_CHECKED, expires_at=_LATER)
    yield e.RunPaused(reason="lunch")
    yield e.RunResumed(reason="back", expires_at=_LATER)
    yield e.RunRetried(reason="once more", checkpoint_id=_CHECKPOINT)
    yield e.RunCancelled(reason="changed my mind")
    yield e.RunFailed(error=_ERROR)
    yield e.RunCompleted(result={"text": "It is red."})


def _commands() -> Iterator[c.AnyCommand]:
    asked = {
        "command_id": _COMMAND,
        "run_id": _RUN,
        "tenant": "acme",
        "at": _AT,
        "actor": "ann",
        "request_sha256": _SHA,
        "expected_version": 4,
        "reply_to": 1,
    }
    decided = {**asked, **_SAID, "checkpoint_id": _CHECKPOINT}
    about = {**asked, **_WORK}
    yield c.StartRun(**asked, request=_REQUEST)
    yield c.ApproveCheckpoint(**decided)
    yield c.EditCheckpoint(**decided, edits={"temperature": None, "size": {"w": 1}})
    yield c.RejectCheckpoint(**decided, reason="no")
    yield c.PauseRun(**asked, reason="lunch")
    yield c.ResumeRun(**asked, reason="back")
    yield c.CancelRun(**asked, reason="changed my mind")
    yield c.RetryRun(**asked, reason="once more")
    yield c.RecordPreparation(**about, preparation=_PREPARATION)
    yield c.RecordExecution(**about, execution=_EXECUTION)
    yield c.RecordFailure(**about, failure=_FAILURE)
    yield c.ExtendLease(**about)
    yield c.NoteCall(**about, provider_call_id="prediction-7")
    yield c.RecordStop(**about, ending=Ending.STOPPED, spent=_SPENT, provider_request_id="req-1")
    yield c.ExpireLease(**about)
    yield c.RetryWork(**about)
    yield c.ExpireCheckpoint(**asked, checkpoint_id=_CHECKPOINT, escalations=1)


def _outcomes() -> Iterator[Accepted | Refused]:
    approval = Approval(**_CHECKED, **_SAID, action="edit", actor="ann", at=_AT, reason="because", diff=_DIFF)
    checkpoint = Checkpoint(
        **_CHECKED,
        reasons=_REASONS,
        subject=_SUBJECT,
        subject_sha256=_SHA,
        subject_schema=_SCHEMA,
        issues=(_ISSUE,),
        opened_at=_AT,
        expires_at=_LATER,
        assignee="bob",
        approvals_required=2,
        approvals=({"actor": "cleo"},),
        escalations=1,
    )
    view = RunView(
        run_id=_RUN,
        state=State.PAYLOAD_REVIEW,
        paused=True,
        version=4,
        provider="openai",
        model="gpt-5-mini",
        operation="text",
        user_id="u1",
        session_id="s1",
        created_at=_AT,
        updated_at=_LATER,
        checkpoint=checkpoint,
        pending_actions=("resume",),
        checkpoint_context={"estimated_cost": "0.0100"},
        last_approval=approval,
        result={"text": "It is red."},
        error=_ERROR,
        cost=Cost(estimated=Decimal("0.0100"), actual=Decimal("0.0300"), currency="EUR"),
        callback_url="https://example.com/called",
        labels={"team": "ads"},
    )
    asked = {"command_id": _COMMAND, "run_id": _RUN}
    yield Accepted(**asked, view=view)
    yield Refused(**asked, code="not_allowed", message="cannot approve", details={"state": "completed"})


def _orders() -> Iterator[PrepareOrder | ExecuteOrder]:
    ordered = {**_WORK, "run_id": _RUN, "tenant": "acme", **_OWNER, **_HELD_TO, "deadline": _LATER}
    yield PrepareOrder(**ordered, intent=_INTENT, tool={"name": "flux"}, with_capabilities=True, tried=(_CANDIDATE,))
    yield ExecuteOrder(
        **ordered,
        provider="openai",
        model="gpt-5-mini",
        operation="text",
        payload=_SUBJECT,
        payload_sha256=_SHA,
        resume="prediction-7",
        doubted=True,
        over_budget_approved=True,
    )


def _of_running_calls() -> Iterator[PartialOutput | StopCall]:
    about = {**_WORK, "run_id": _RUN, "tenant": "acme"}
    yield PartialOutput(**about, **_OWNER, offset=6, text="red.")
    yield StopCall(**about, provider="openai", operation="text", model="gpt-5-mini", provider_call_id="prediction-7")


def to_bytes(message: Message) -> bytes:
    """Return a message as it travels."""
    return message.to_bytes() if isinstance(message, e.RunEvent) else message.model_dump_json().encode()


def read(path: Path) -> bytes:
    """Return the message that a golden file holds: one line, without the end of it."""
    return path.read_bytes().removesuffix(b"\n")


def main() -> None:
    """Write the golden files that are missing."""
    if os.environ.get("CI"):
        sys.exit("golden files are written by a person, who looks at them")
    FOLDER.mkdir(exist_ok=True)
    for kind, message in samples().items():
        path = FOLDER / f"{kind}.json"
        if not path.exists():
            path.write_bytes(to_bytes(message) + b"\n")
            print("wrote", path)  # noqa: T201 - a program of the terminal


if __name__ == "__main__":
    main()
