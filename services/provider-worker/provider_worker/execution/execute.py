"""Makes one call: the approved bytes go out once, the facts about the answer come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from chassis.failpoints import Reached, each_await, nothing
from contracts.json_values import ComposedObject, digest
from contracts.providers.call import Execution, Failure
from contracts.providers.orders import ExecuteOrder
from contracts.providers.signals import Signals
from provider_worker.checks.base import Stage
from provider_worker.checks.check_runner import CheckRunner
from provider_worker.errors import CallStopped, DatabaseUnavailable
from provider_worker.execution.received import with_received
from provider_worker.execution.refused_members import naming_members
from provider_worker.execution.stored_answers import (
    INLINE_USAGE_BYTES,
    RetryingArtifacts,
    bounded,
    bounded_signals,
    inline_or_stored,
)
from provider_worker.messages.failures import log_bug
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.answers.content import MISFIT, fits
from provider_worker.providers.base import AIProvider, Answer, Call, ProviderError, note_nowhere
from provider_worker.providers.progress import Progress, running_call
from provider_worker.sanitizer import Sanitizer

_LONGEST_ID = 500

EXECUTE_SECONDS = 600.0
"""How long a call may take in all, whatever the provider's own limits are."""


@dataclass(slots=True)
class CallContext:
    """The context of a call.

    `note` records the provider's id of the call and returns when it is stored. `progress` gets partial text and usage.
    `cancellation` may end the call with CallStopped. `checks` inspect the answer. `begun` tells whether the provider was asked,
    `provider_call_id` by which id it knows the call.
    """

    note: Callable[[str], Awaitable[None]] = note_nowhere
    progress: Progress = field(default_factory=Progress)
    cancellation: AbstractContextManager[None] = field(default_factory=nullcontext)
    checks: CheckRunner = field(default_factory=CheckRunner)
    reached: Reached = nothing
    seconds: float = EXECUTE_SECONDS
    begun: bool = False
    provider_call_id: str | None = None


class _ComposedExecution(Execution):
    """An execution of sanitized values: they are not validated again."""

    raw: Any
    response: ComposedObject
    response_schema: ComposedObject
    usage: ComposedObject


async def execute(
    order: ExecuteOrder,
    provider: AIProvider,
    artifacts: TenantArtifacts,
    sanitizer: Sanitizer,
    context: CallContext | None = None,
) -> Execution:
    """Make the call, or ask about the one that `order.resume` names, and return the facts about its answer.

    Raises ProviderError, CallStopped, and DatabaseUnavailable only before the provider was asked. A call that has no answer
    after `context.seconds` is uncertain. The failure of a call that was begun tells what came of it.
    """
    refuse_other_bytes(order)
    context = context or CallContext()
    artifacts = RetryingArtifacts(artifacts)
    began = time.monotonic()

    async def tell(failure: Failure, answer: Answer | None = None) -> ProviderError:
        name = context.provider_call_id
        return await with_received(failure, order, provider, context.progress, artifacts, sanitizer, answer, name)

    try:
        answer = await _ask(order, provider, artifacts, sanitizer, context)
    except ProviderError as error:
        raise await tell(error.failure) from error
    context.progress.hold()  # the answer holds it now
    latency_ms = int((time.monotonic() - began) * 1000)
    raw = sanitizer.json(answer.raw)
    try:
        stored = await inline_or_stored(raw, artifacts)
        facts = await _facts(order, provider, Answer(raw, answer.request_id), artifacts, sanitizer, context.checks)
        return _ComposedExecution(raw=stored, latency_ms=latency_ms, **facts)
    except ProviderError as error:
        raise await tell(error.failure, answer) from error
    except Exception as error:
        log_bug(error, provider.name, sanitizer)
        ref = await artifacts.keep(to_json(raw), "application/json")
        message = (
            f"The call was made, but a bug in the provider {provider.name} kept its answer from being read: {ref}."
        )
        # A call that was noted stays noted: a retry reads the same answer, and buys nothing.
        kept = context.provider_call_id is not None
        failure = Failure(code="provider_bug", message=message, uncertain=kept)
        raise await tell(failure, answer) from error


def refuse_other_bytes(order: ExecuteOrder) -> None:
    """Raise ProviderError `payload_mismatch` unless the payload is the one that was approved."""
    if digest(order.payload) != order.payload_sha256:
        message = "The payload is not the one that was approved: its digest is another. Nothing was called."
        raise ProviderError(Failure(code="payload_mismatch", message=message))


async def _ask(
    order: ExecuteOrder, provider: AIProvider, artifacts: TenantArtifacts, sanitizer: Sanitizer, context: CallContext
) -> Answer:
    key = f"{order.work_id}:{order.attempt}"
    call = Call(
        order.operation, order.model, order.attempt, key, artifacts, order.resume, context.note, context.progress
    )
    running = running_call.set(context.progress)
    try:
        async with asyncio.timeout(context.seconds) as limit:
            with context.cancellation:
                context.begun = True
                return await each_await(provider.execute(order.payload, call), "call.awaiting", context.reached)
    except ProviderError as error:
        raise ProviderError(naming_members(error.failure, order.payload)) from error
    except (DatabaseUnavailable, CallStopped):
        raise
    except Exception as error:
        raise ProviderError(_unanswered(error, provider.name, sanitizer, limit, context.seconds)) from error
    finally:
        running_call.reset(running)


def _unanswered(error: Exception, name: str, sanitizer: Sanitizer, limit: asyncio.Timeout, seconds: float) -> Failure:
    """Return the failure of a call without an answer: it took too long, or a bug ended it."""
    if limit.expired():
        message = f"{name} gave no answer within {seconds:g} s. It may have happened."
        return Failure(code="timeout", message=message, retryable=True, uncertain=True)
    log_bug(error, name, sanitizer)
    message = f"A bug in the provider {name} ended the call ({type(error).__name__}). It may have happened."
    return Failure(code="provider_bug", message=message, uncertain=True)


async def _facts(
    order: ExecuteOrder,
    provider: AIProvider,
    answer: Answer,
    artifacts: TenantArtifacts,
    sanitizer: Sanitizer,
    checks: CheckRunner,
) -> dict[str, Any]:
    audit = await provider.audit_response(order.operation, order.payload, answer.raw)
    cleaned, cleaned_schema = sanitizer.json(audit.response), sanitizer.json(audit.schema)
    scored = audit.signals if cleaned == audit.response else _judged_again(audit.signals, cleaned, cleaned_schema)
    signals = await checks.at_response(order, cleaned, audit.cost, scored, sanitizer)
    response, schema = await bounded(cleaned, cleaned_schema, artifacts)
    return {
        "response": response,
        "response_schema": schema,
        "signals": bounded_signals(signals),
        "usage": await inline_or_stored(sanitizer.json(audit.usage), artifacts, INLINE_USAGE_BYTES),
        "checks": checks.names_at(Stage.RESPONSE, order),
        "cost": audit.cost,
        "provider_request_id": sanitizer.text(answer.request_id)[:_LONGEST_ID] if answer.request_id else None,
    }


def _judged_again(signals: Signals, response: dict[str, Any], schema: dict[str, Any]) -> Signals:
    """Return the signals of an answer that cleaning has changed: what is shown and stored is what is judged."""
    quality = signals.response_quality
    if quality is None or fits(response, schema):
        return signals
    return signals.changed({"response_quality": min(quality, MISFIT)})
