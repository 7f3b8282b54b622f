"""What came of a call that failed: it is paid for, so the failure carries it, by reference where it is large."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, TypeVar

from pydantic_core import to_json

from contracts.providers.call import Failure, Received
from contracts.providers.orders import ExecuteOrder
from provider_worker.execution.stored_answers import INLINE_BYTES, INLINE_USAGE_BYTES, bounded
from provider_worker.messages.failures import log_bug
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import AIProvider, Answer, Fragment, ProviderError
from provider_worker.providers.progress import Progress, Unfinished
from provider_worker.sanitizer import Sanitizer

_EXCERPT = 2000

T = TypeVar("T")


async def with_received(
    failure: Failure,
    order: ExecuteOrder,
    provider: AIProvider,
    progress: Progress,
    artifacts: TenantArtifacts,
    sanitizer: Sanitizer,
    answer: Answer | None = None,
    provider_call_id: str | None = None,
) -> ProviderError:
    """Return the error of a call, whose failure tells what came of it. `answer` came whole and could not be read.

    A call that the provider can still be asked about has no cost yet: it is counted once, with its end.
    """
    raw, usage = answer.raw if answer else progress.received(), progress.usage
    if raw is None and not usage:
        return ProviderError(failure)
    is_paid = failure.uncertain or progress.characters > 0
    payload = order.payload if is_paid else None
    call = Unfinished(order.operation, order.model, payload, progress.characters, usage, provider_call_id)
    found = _read(provider, call, raw, sanitizer)
    if provider_call_id is not None and failure.uncertain:
        found = replace(found, usage={}, cost=None, estimated=False)
    request_id = answer.request_id if answer else provider_call_id
    response, _ = await _kept(bounded(sanitizer.json(found.response), {}, artifacts), ({}, {}))
    received = Received.of(
        raw=await _stored(sanitizer.json(found.raw), artifacts),
        response=response,
        usage=_sound(sanitizer.json(found.usage)),
        cost=found.cost,
        currency="USD",
        estimated=found.estimated,
        provider_request_id=sanitizer.text(request_id) if request_id else None,
    )
    return ProviderError(failure.changed({"received": received}))


def _read(provider: AIProvider, call: Unfinished, raw: Any, sanitizer: Sanitizer) -> Fragment:
    try:
        return provider.received(call, raw)
    except Exception as error:  # what came is kept all the same
        log_bug(error, provider.name, sanitizer)
        return Fragment(raw, usage=dict(call.usage))


async def _stored(raw: Any, artifacts: TenantArtifacts) -> Any:
    """Return what came as it is, or its ref, size and beginning if it is large."""
    body = to_json(raw)
    if len(body) <= INLINE_BYTES:
        return raw
    shown = {"size": len(body), "excerpt": body[:_EXCERPT].decode(errors="replace")}
    ref = await _kept(artifacts.keep(body, "application/json"), None)
    return shown if ref is None else {"artifact": ref, **shown}


async def _kept(storing: Awaitable[T], otherwise: T) -> T:
    """Return what was stored: the failure is told though the store is not there."""
    try:
        return await storing
    except ProviderError:
        return otherwise


def _sound(usage: dict[str, Any]) -> dict[str, Any]:
    return usage if len(to_json(usage)) <= INLINE_USAGE_BYTES else {}
