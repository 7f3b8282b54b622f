"""The commands of specifications, and the stories that many specifications begin with."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from contracts.json_values import digest
from contracts.providers.call import Checked, Ending, Execution, Failure, Issue, Preparation, Spent, catalog_schema
from contracts.providers.capabilities import Capabilities
from contracts.providers.signals import Signals
from contracts.runs import commands as c
from contracts.runs import events as e
from contracts.runs.config import HitlConfig, Policy, Step
from contracts.runs.requests import RunRequest
from contracts.runs.run_event import RunEvent
from contracts.runs.views import project
from orchestrator.runs import evolve
from orchestrator.runs.state import OrderKind
from testkit.runs.specification import Ask, Story, given

PAYLOAD: dict[str, Any] = {"prompt": "a red bicycle", "temperature": 0.5, "tags": ["a", "b"], "size": {"w": 1, "h": 2}}

PAYLOAD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"prompt": {"type": "string"}, "temperature": {"type": "number", "maximum": 2}},
    "required": ["prompt"],
}

RESPONSE: dict[str, Any] = {"text": "It is red."}

GOOD = Signals(confidence=0.9, payload_changes=0, response_quality=0.9)
"""Signals within the default thresholds."""

CAPABILITIES = Capabilities(provider="sandbox", operations=("text", "json"), default_operation="text")


def start(request: dict[str, Any] | None = None, **hitl: Any) -> Ask:
    """Start a run; `hitl` is its review configuration, under `require_human` unless it says otherwise."""
    config = HitlConfig(**{"policy": Policy.REQUIRE_HUMAN, **hitl})
    asked = {"prompt": "a red bicycle", "user_id": "u1", "session_id": "s1", **(request or {})}
    return Ask(c.StartRun, lambda _: {"request": RunRequest(hitl_config=config, **asked)})


def again(command: c.AnyCommand | None) -> Ask:
    """Send a command a second time, taken in now; a command of the clock not before its time."""
    assert command is not None, "there is no such command"

    def same(story: Story) -> dict[str, Any]:
        at = max(story.at, command.at) if isinstance(command, c.FromClock) else story.at
        return {**dict(command), "at": at}

    return Ask(type(command), same)


# ---- people


def approve(**members: Any) -> Ask:
    """Approve what waits."""
    return Ask(c.ApproveCheckpoint, lambda _: members)


def approve_as_seen(**members: Any) -> Ask:
    """Approve what waits, naming the checkpoint and the bytes."""
    return Ask(c.ApproveCheckpoint, lambda story: {**_seen(story), **members})


def edit(edits: dict[str, Any], **members: Any) -> Ask:
    """Change what waits and approve the result."""
    return Ask(c.EditCheckpoint, lambda _: {"edits": edits, **members})


def reject(**members: Any) -> Ask:
    """Reject what waits."""
    return Ask(c.RejectCheckpoint, lambda _: members)


def pause(**members: Any) -> Ask:
    """Pause the run."""
    return Ask(c.PauseRun, lambda _: members)


def resume(**members: Any) -> Ask:
    """Resume the run."""
    return Ask(c.ResumeRun, lambda _: members)


def cancel(**members: Any) -> Ask:
    """Cancel the run."""
    return Ask(c.CancelRun, lambda _: members)


def retry(**members: Any) -> Ask:
    """Try again."""
    return Ask(c.RetryRun, lambda _: members)


def _seen(story: Story) -> dict[str, Any]:
    checkpoint = story.now.view.checkpoint
    assert checkpoint is not None, "nothing waits for a person"
    return {"checkpoint_id": checkpoint.checkpoint_id, "subject_sha256": digest(checkpoint.subject)}


# ---- workers


def prepared(**facts: Any) -> Ask:
    """Answer the preparation in hand; with `in_one`, its worker calls too."""
    in_one = facts.pop("in_one", False)
    known = {
        "provider": "sandbox",
        "model": "echo",
        "operation": "text",
        "payload": PAYLOAD,
        "payload_schema": PAYLOAD_SCHEMA,
        "signals": GOOD,
        "capabilities": CAPABILITIES,
        "intent_schema": catalog_schema(["sandbox", "openai"]),
    }
    preparation = Preparation(**{**known, **facts})
    return _from_worker(c.RecordPreparation, preparation=preparation, in_one=in_one)


def checked(**facts: Any) -> Ask:
    """Answer the check of an edited subject: nothing was found, unless `facts` say so."""
    return _from_worker(c.RecordCheck, checked=Checked(**{"model": "echo", "signals": GOOD, **facts}))


def executed(**facts: Any) -> Ask:
    """Answer the call in hand."""
    execution = Execution(**{"raw": {"id": 7}, "response": RESPONSE, "signals": GOOD, **facts})
    return _from_worker(c.RecordExecution, execution=execution)


def failed(code: str = "provider_error", **facts: Any) -> Ask:
    """Answer that the work in hand failed; not retryable unless `facts` say so."""
    return _from_worker(c.RecordFailure, failure=Failure(**{"code": code, "message": "it broke", **facts}))


def extend_lease(**facts: Any) -> Ask:
    """Extend the lease of the work in hand."""
    return _from_worker(c.ExtendLease, **facts)


def note_call(provider_call_id: str = "prediction-7") -> Ask:
    """Note the provider's id of the call in hand."""
    return _from_worker(c.NoteCall, provider_call_id=provider_call_id)


def stopped(**facts: Any) -> Ask:
    """Answer that the call was stopped, as the run's end ordered."""
    return _from_worker(c.RecordStop, **{"ending": Ending.STOPPED, **facts})


def held() -> Ask:
    """Answer that the ordered call was not begun, as the pause ordered."""
    return stopped(ending=Ending.NOT_BEGUN, spent=Spent(cost=Decimal(0)))


def handed_back(seconds: float = 8.0) -> Ask:
    """Answer that the ordered call was not begun, and that there is no room for it for so many seconds."""
    return stopped(ending=Ending.NOT_BEGUN, spent=Spent(cost=Decimal(0)), retry_in=seconds)


def _from_worker(kind: type[c.Command], **answer: Any) -> Ask:
    return Ask(kind, lambda story: {**_last_work(story), **answer, "actor": "worker"})


def _last_work(story: Story) -> dict[str, Any]:
    """Name the work in hand, or what was last in hand."""
    for record in reversed(story.history):
        if hasattr(record.data, "work_id"):
            return {"work_id": record.data.work_id, "attempt": getattr(record.data, "attempt", 1)}
    raise AssertionError("no work was ever ordered")


def issue(**facts: Any) -> Issue:
    """Return an error in the payload that stops a call."""
    return Issue(**{"code": "too_hot", "message": "at most 2", "path": "/temperature", **facts})


# ---- the clock


def lease_ends() -> Ask:
    """Expire the lease of the work in hand."""
    return _falls_due(c.ExpireLease)


def back_off_ends() -> Ask:
    """Order the next attempt when it is due."""
    return _falls_due(c.RetryWork)


def time_is_up() -> Ask:
    """Expire the checkpoint that was not decided in time."""
    return _falls_due(c.ExpireCheckpoint)


def _falls_due(kind: type[c.Command]) -> Ask:
    def due(story: Story) -> dict[str, Any]:
        command = story.due
        assert isinstance(command, kind), f"the clock knows of {command!r}"
        return dict(command)

    return Ask(kind, due)


# ---- stories


def at_information_review(**hitl: Any) -> Story:
    """Return a run that waits at its information review."""
    return given(start(**hitl), prepared())


def at_payload_review(**hitl: Any) -> Story:
    """Return a run that waits at its payload review; its response review is switched on too."""
    return given(start(**{"allowed_steps": ("payload_review", "response_review"), **hitl}), prepared())


def at_response_review(**hitl: Any) -> Story:
    """Return a run that waits at its response review."""
    return given(start(**{"allowed_steps": ("response_review",), **hitl}), prepared(), executed())


def at_error_review(**hitl: Any) -> Story:
    """Return a run that waits at its error review."""
    return calling(**hitl).given(failed())


def calling(**hitl: Any) -> Story:
    """Return a run whose call is ordered, its payload approved by a person."""
    story = at_payload_review(**hitl).given(approve())
    assert story.attempt.kind is OrderKind.CALL
    return story


def completed(**hitl: Any) -> Story:
    """Return a run that has its result."""
    return calling(**{"allowed_steps": ("payload_review",), **hitl}).given(executed())


def rejected(**hitl: Any) -> Story:
    """Return a run that was cancelled because a person rejected its payload."""
    return at_payload_review(**hitl).given(reject(reason="no"))


def cancelled(**hitl: Any) -> Story:
    """Return a run that was cancelled while its payload waited."""
    return at_payload_review(**hitl).given(cancel())


def newer(story: Story, kind: str = "run-forked.v1") -> Story:
    """Return the run after an event of a kind that this version does not know."""
    known = story.history[-1]
    facts = e.UnknownEvent(facts={"from_version": 1})
    event = RunEvent.parse(known.changed({"kind": kind, "version": known.version + 1, "data": facts}).to_bytes())
    run, view = evolve(story.run, event), project(story.view, event)
    return replace(story, run=run, view=view, history=(*story.history, event))


def at_length(story: Story, version: int) -> Story:
    """Return the run as if so many events had led to it."""
    view = story.now.view.changed({"version": version})
    return replace(story, run=replace(story.now, view=view), checked=False)


AT = {
    Step.INFORMATION_REVIEW: at_information_review,
    Step.PAYLOAD_REVIEW: at_payload_review,
    Step.RESPONSE_REVIEW: at_response_review,
    Step.ERROR_REVIEW: at_error_review,
}
"""The story that waits at each step."""
