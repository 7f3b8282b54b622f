"""One message of every kind that travels, every member filled in."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from contracts.message import Message
from contracts.providers.call import Cost, Ending
from contracts.providers.call_stream import PartialOutput, StopCall
from contracts.providers.orders import ExecuteOrder, PrepareOrder
from contracts.providers.signals import Reason
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import OnTimeout, Step
from contracts.runs.outcomes import Accepted, Refused
from contracts.runs.run_event import RunEvent
from contracts.runs.views import Approval, Checkpoint, RunView, State
from testkit.runs.sample_parts import (
    AT,
    CANDIDATE,
    CAPABILITIES,
    CHECKED,
    CHECKPOINT,
    COMMAND,
    DIFF,
    ERROR,
    EXECUTION,
    FAILURE,
    HELD_TO,
    INTENT,
    ISSUE,
    LATER,
    OWNER,
    PREPARATION,
    REASONS,
    REQUEST,
    RUN,
    SAID,
    SCHEMA,
    SHA,
    SPENT,
    SUBJECT,
    WORK,
)


def samples() -> dict[str, Message]:
    """Return one message of every kind that travels, by its kind; capabilities are what `provider.catalog` carries."""
    messages: list[Any] = [*_commands(), *_outcomes(), *_orders(), *_of_running_calls()]
    return {
        **{event.kind: _recorded(event) for event in _events()},
        **{message.kind: message for message in messages},
        "capabilities": CAPABILITIES,
    }


def _recorded(event: e.Event) -> RunEvent:
    return RunEvent(
        kind=event.kind,
        run_id=RUN,
        version=4,
        at=AT,
        tenant="acme",
        user_id="u1",
        session_id="s1",
        actor="ann",
        cause=COMMAND,
        request_sha256=SHA,
        data=event,
    )


def _events() -> Iterator[e.Event]:
    yield e.RunStarted(request=REQUEST, work_id=f"{RUN}.1", lease_until=LATER)
    yield e.PreparationOrdered(**WORK, lease_until=LATER)
    yield e.CallOrdered(**WORK, lease_until=LATER, payload_sha256=SHA)
    yield e.CallDoubted(**WORK, lease_until=LATER)
    yield e.LeaseExtended(**WORK, lease_until=LATER)
    yield e.CallNoted(**WORK, provider_call_id="prediction-7")
    yield e.CallStopped(**WORK, ending=Ending.STOPPED, spent=SPENT, failure=FAILURE, provider_request_id="req-1")
    yield e.RunPrepared(**WORK, preparation=PREPARATION)
    yield e.PreparationFailed(**WORK, failure=FAILURE)
    yield e.CallSucceeded(**WORK, execution=EXECUTION)
    yield e.CallFailed(**WORK, failure=FAILURE)
    yield e.RouteFellBack(failed=CANDIDATE, reason=Reason(code="rate_limited", message="slow down"))
    yield e.RetryScheduled(**WORK, retry_at=LATER)
    yield e.PayloadFixed(payload=SUBJECT, payload_sha256=SHA, diff=DIFF)
    yield e.StepPassed(step=Step.RESPONSE_REVIEW, reasons=REASONS)
    yield e.CheckpointOpened(
        **CHECKED,
        reasons=REASONS,
        subject=SUBJECT,
        subject_sha256=SHA,
        subject_schema=SCHEMA,
        issues=(ISSUE,),
        context={"estimated_cost": "0.0100"},
        expires_at=LATER,
        approvals_required=2,
    )
    yield e.CheckpointApproved(**CHECKED, **SAID)
    yield e.CheckpointEdited(**CHECKED, **SAID, edits={"temperature": None}, subject=SUBJECT, diff=DIFF)
    yield e.CheckpointRejected(**CHECKED, **SAID, reason="no")
    yield e.CheckpointExpired(**CHECKED, on_timeout=OnTimeout.CANCEL)
    yield e.CheckpointEscalated(**CHECKED, expires_at=LATER)
    yield e.RunPaused(reason="lunch")
    yield e.RunResumed(reason="back", expires_at=LATER)
    yield e.RunRetried(reason="once more", checkpoint_id=CHECKPOINT)
    yield e.RunCancelled(reason="changed my mind")
    yield e.RunFailed(error=ERROR)
    yield e.RunCompleted(result={"text": "It is red."})


def _commands() -> Iterator[c.AnyCommand]:
    asked = {
        "command_id": COMMAND,
        "run_id": RUN,
        "tenant": "acme",
        "at": AT,
        "actor": "ann",
        "request_sha256": SHA,
        "expected_version": 4,
        "reply_to": 1,
    }
    decided = {**asked, **SAID, "checkpoint_id": CHECKPOINT}
    about = {**asked, **WORK}
    yield c.StartRun(**asked, request=REQUEST)
    yield c.ApproveCheckpoint(**decided)
    yield c.EditCheckpoint(**decided, edits={"temperature": None, "size": {"w": 1}})
    yield c.RejectCheckpoint(**decided, reason="no")
    yield c.PauseRun(**asked, reason="lunch")
    yield c.ResumeRun(**asked, reason="back")
    yield c.CancelRun(**asked, reason="changed my mind")
    yield c.RetryRun(**asked, reason="once more")
    yield c.RecordPreparation(**about, preparation=PREPARATION)
    yield c.RecordExecution(**about, execution=EXECUTION)
    yield c.RecordFailure(**about, failure=FAILURE)
    yield c.ExtendLease(**about)
    yield c.NoteCall(**about, provider_call_id="prediction-7")
    yield c.RecordStop(**about, ending=Ending.STOPPED, spent=SPENT, provider_request_id="req-1")
    yield c.ExpireLease(**about)
    yield c.RetryWork(**about)
    yield c.ExpireCheckpoint(**asked, checkpoint_id=CHECKPOINT, escalations=1)


def _outcomes() -> Iterator[Accepted | Refused]:
    approval = Approval(**CHECKED, **SAID, action="edit", actor="ann", at=AT, reason="because", diff=DIFF)
    checkpoint = Checkpoint(
        **CHECKED,
        reasons=REASONS,
        subject=SUBJECT,
        subject_sha256=SHA,
        subject_schema=SCHEMA,
        issues=(ISSUE,),
        opened_at=AT,
        expires_at=LATER,
        assignee="bob",
        approvals_required=2,
        approvals=({"actor": "cleo"},),
        escalations=1,
    )
    view = RunView(
        run_id=RUN,
        state=State.PAYLOAD_REVIEW,
        paused=True,
        version=4,
        provider="openai",
        model="gpt-5-mini",
        operation="text",
        user_id="u1",
        session_id="s1",
        created_at=AT,
        updated_at=LATER,
        checkpoint=checkpoint,
        pending_actions=("resume",),
        checkpoint_context={"estimated_cost": "0.0100"},
        last_approval=approval,
        result={"text": "It is red."},
        error=ERROR,
        cost=Cost(estimated=Decimal("0.0100"), actual=Decimal("0.0300"), currency="EUR"),
        callback_url="https://example.com/called",
        labels={"team": "ads"},
    )
    asked = {"command_id": COMMAND, "run_id": RUN}
    yield Accepted(**asked, view=view)
    yield Refused(**asked, code="not_allowed", message="cannot approve", details={"state": "completed"})


def _orders() -> Iterator[PrepareOrder | ExecuteOrder]:
    ordered = {**WORK, "run_id": RUN, "tenant": "acme", **OWNER, **HELD_TO, "deadline": LATER}
    yield PrepareOrder(**ordered, intent=INTENT, tool={"name": "flux"}, with_capabilities=True, tried=(CANDIDATE,))
    yield ExecuteOrder(
        **ordered,
        provider="openai",
        model="gpt-5-mini",
        operation="text",
        payload=SUBJECT,
        payload_sha256=SHA,
        resume="prediction-7",
        doubted=True,
        over_budget_approved=True,
    )


def _of_running_calls() -> Iterator[PartialOutput | StopCall]:
    about = {**WORK, "run_id": RUN, "tenant": "acme"}
    yield PartialOutput(**about, **OWNER, offset=6, text="red.")
    yield StopCall(**about, provider="openai", operation="text", model="gpt-5-mini", provider_call_id="prediction-7")
