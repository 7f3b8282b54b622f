"""Carrying out an `execute` order: the bytes that were approved go out once, the facts about the answer come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from artifacts.store import Artifact
from chassis.failpoints import Reached, each_await, nothing
from contracts.json_values import ComposedObject, digest
from contracts.providers.call import Execution, Failure
from contracts.providers.orders import ExecuteOrder
from provider_worker.checks.check_runner import CheckRunner
from provider_worker.execution.cancellation import CallStopped
from provider_worker.execution.failures import log_bug
from provider_worker.ports import StorageUnavailable, TenantArtifacts
from provider_worker.providers.base import AIProvider, Answer, Call, ProviderError, note_nowhere
from provider_worker.providers.progress import Progress
from provider_worker.sanitizer import Sanitizer

EXECUTE_SECONDS = 600.0
"""How long a call may take in all, whatever the provider's own limits are."""

INLINE_BYTES = 128 * 1024
"""Raw answers beyond this go to the artifact store: they would be carried through every event and view of the run."""

INLINE_RESPONSE_BYTES = 256 * 1024
"""The same for cleaned answers, which reviewers read in place."""

MAX_RESPONSE_BYTES = 20 * 1024 * 1024

_EXCERPT = 2000
_STORED_SCHEMA = {
    "type": "object",
    "properties": {"artifact": {"type": "string"}, "size": {"type": "integer"}, "excerpt": {"type": "string"}},
    "required": ["artifact", "size"],
}


async def as_it_is(begin: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a call and do nothing else."""
    return await begin()


@dataclass(frozen=True, slots=True)
class CallContext:
    """What goes on beside a call.

    `note` records the provider's id of it, and returns when that is safe; `progress` is told how far it is; `guard` makes it, and may
    end it early by an error of its own; `checks` look at what it answers.
    """

    note: Callable[[str], Awaitable[None]] = note_nowhere
    progress: Progress = field(default_factory=Progress)
    guard: Callable[[Callable[[], Awaitable[Answer]]], Awaitable[Answer]] = as_it_is
    checks: CheckRunner = field(default_factory=CheckRunner)


class _Composed(Execution):
    """Of values that come out of the sanitizer: they are not walked once more."""

    raw: Any
    response: ComposedObject
    response_schema: ComposedObject
    usage: ComposedObject


async def execute(
    order: ExecuteOrder,
    provider: AIProvider,
    artifacts: TenantArtifacts,
    sanitizer: Sanitizer,
    around: CallContext | None = None,
    reached: Reached = nothing,
    seconds: float = EXECUTE_SECONDS,
) -> Execution:
    """Make the call, or ask about the one that the order names, and say what came of it. After `seconds` it counts as uncertain.

    Raises ProviderError, what `around.guard` raises, and StorageUnavailable only while nothing was called yet.
    """
    refuse_other_bytes(order)
    around, artifacts = around or CallContext(), _Patient(artifacts)
    began = time.monotonic()
    key = f"{order.work_id}:{order.attempt}"
    call = Call(order.operation, order.model, order.attempt, key, artifacts, order.resume, around.note, around.progress)

    def begin() -> Awaitable[Answer]:
        return each_await(provider.execute(order.payload, call), "call.awaiting", reached)

    answer = await _within(seconds, around.guard(begin), provider.name, sanitizer)
    latency_ms = int((time.monotonic() - began) * 1000)
    raw = sanitizer.json(answer.raw)
    try:
        return await _facts(order, provider, answer, raw, latency_ms, artifacts, sanitizer, around.checks)
    except ProviderError:
        raise
    except Exception as error:
        log_bug(error, provider.name, sanitizer)
        ref = await artifacts.keep(to_json(raw), "application/json")
        message = (
            f"The call was made, but a bug in the provider {provider.name} kept its answer from being read: {ref}."
        )
        raise ProviderError(Failure(code="provider_bug", message=message)) from error


def refuse_other_bytes(order: ExecuteOrder) -> None:
    """Raise ProviderError `payload_mismatch` unless the payload is the one that was approved."""
    if digest(order.payload) != order.payload_sha256:
        message = "The payload is not the one that was approved: its digest is another. Nothing was called."
        raise ProviderError(Failure(code="payload_mismatch", message=message))


async def _within(seconds: float, calling: Awaitable[Answer], name: str, sanitizer: Sanitizer) -> Answer:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await calling
    except (ProviderError, StorageUnavailable, CallStopped):
        raise
    except Exception as error:
        if limit.expired():
            code, message = "timeout", f"{name} gave no answer within {seconds:g} s."
        else:
            log_bug(error, name, sanitizer)
            code, message = (
                "provider_bug",
                f"A bug in the provider {name} ended the call ({type(error).__name__}).",
            )
        failure = Failure(
            code=code, message=f"{message} It may have happened.", retryable=limit.expired(), uncertain=True
        )
        raise ProviderError(failure) from error


async def _facts(
    order: ExecuteOrder,
    provider: AIProvider,
    answer: Answer,
    raw: Any,
    latency_ms: int,
    artifacts: TenantArtifacts,
    sanitizer: Sanitizer,
    checks: CheckRunner,
) -> Execution:
    kept = await _inline_or_kept(raw, artifacts)
    audit = await provider.audit_response(order.operation, order.payload, answer.raw)
    cleaned = sanitizer.json(audit.response)
    signals = await checks.at_response(order, cleaned, audit.cost, audit.signals, sanitizer)
    response, schema = await _bounded(cleaned, sanitizer.json(audit.schema), artifacts)
    return _Composed(
        raw=kept,
        response=response,
        response_schema=schema,
        signals=signals,
        usage=sanitizer.json(audit.usage),
        cost=audit.cost,
        latency_ms=latency_ms,
        provider_request_id=sanitizer.text(answer.request_id) if answer.request_id else None,
    )


async def _inline_or_kept(raw: Any, artifacts: TenantArtifacts) -> Any:
    body = to_json(raw)
    if len(body) <= INLINE_BYTES:
        return raw
    if len(body) > MAX_RESPONSE_BYTES:
        message = f"The answer has {len(body)} bytes; more than {MAX_RESPONSE_BYTES} are not taken."
        raise ProviderError(Failure(code="response_too_large", message=message))
    return {"artifact": await artifacts.keep(body, "application/json"), "size": len(body)}


async def _bounded(response: dict[str, Any], schema: dict[str, Any], artifacts: TenantArtifacts) -> tuple[Any, Any]:
    body = to_json(response)
    if len(body) <= INLINE_RESPONSE_BYTES:
        return response, schema if len(to_json(schema)) <= INLINE_RESPONSE_BYTES else {}
    excerpt = next((value[:_EXCERPT] for value in response.values() if isinstance(value, str)), "")
    ref = await artifacts.keep(body, "application/json")
    return {"artifact": ref, "size": len(body), "excerpt": excerpt}, _STORED_SCHEMA


class _Patient:
    """Artifacts that keep what was paid for: while the database is away they wait, as long as a call may take."""

    def __init__(self, artifacts: TenantArtifacts) -> None:
        self._artifacts = artifacts

    async def find(self, ref: str) -> Artifact | None:
        return await self._artifacts.find(ref)

    async def read(self, ref: str) -> tuple[Artifact, bytes] | None:
        return await self._artifacts.read(ref)

    async def keep(self, body: bytes, media_type: str) -> str:
        pause, until = 0.1, time.monotonic() + EXECUTE_SECONDS
        while time.monotonic() < until:
            try:
                return await self._artifacts.keep(body, media_type)
            except StorageUnavailable:
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5)
        message = "The call was made, but the database was away for too long to keep its answer."
        raise ProviderError(Failure(code="storage_unavailable", message=message))
