"""Drafts a payload for one provider: an intent in, the facts about its payload out. Makes no call and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.json_pointer import pointer
from contracts.json_values import ComposedObject
from contracts.providers.call import CallIntent, Failure, Issue, Preparation, catalog_schema
from contracts.providers.capabilities import Capabilities
from contracts.providers.orders import PrepareOrder
from contracts.providers.routing import Routing
from provider_worker.ports import Artifacts, TenantArtifacts
from provider_worker.providers.base import AIProvider, Attachment, ProviderError
from provider_worker.providers.payload_schema import costly_schemas
from provider_worker.providers.registry import Registry
from provider_worker.rate_limits.circuit_breakers import CircuitBreakers
from provider_worker.sanitizer import MAX_LEVELS, Sanitizer, is_too_deep

MAX_ISSUES = 100


class _ComposedPreparation(Preparation):
    """A preparation of sanitized values and compiled schemas: they are not validated again."""

    payload: ComposedObject
    payload_schema: ComposedObject


@dataclass(frozen=True, slots=True)
class Draft:
    """A preparation before any check, and the intent it was made from, with nothing left open."""

    intent: CallIntent
    preparation: Preparation

    def with_routing(self, routing: Routing) -> Draft:
        """Return the draft with the route's reasons for it."""
        return Draft(self.intent, self.preparation.changed({"routing": routing}))


class Drafter:
    """Drafts payloads."""

    def __init__(
        self, registry: Registry, artifacts: Artifacts, sanitizer: Sanitizer, circuits: CircuitBreakers | None = None
    ) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._sanitizer = sanitizer
        self._circuits = circuits or CircuitBreakers()

    async def draft(self, order: PrepareOrder, provider: AIProvider) -> Draft:
        """Build, validate and price the payload that the order's intent asks of `provider`.

        Raises ProviderError and DatabaseUnavailable.
        """
        capabilities = await provider.get_capabilities()
        intent = settle(order.intent, provider, capabilities)
        attachments, missing = await find_attachments(self._artifacts.of(order.tenant), intent.attachments)
        created = await provider.create_payload(intent, order.tool, attachments)
        if is_too_deep(created):
            message = f"Parameters nest deeper than {MAX_LEVELS} levels."
            raise ProviderError(Failure(code="payload_too_deep", message=message))
        payload = self._sanitizer.json(created)
        operation = intent.operation or capabilities.default_operation
        found = await issues_of(provider, operation, payload)
        issues = [*_unconfigured(capabilities), *missing, *found][:MAX_ISSUES]
        circuit = self._circuits.state_of(provider.name)
        prepared = _ComposedPreparation(
            provider=provider.name,
            model=intent.model,
            operation=operation,
            payload=payload,
            payload_schema=(await provider.schema_for(operation, payload)).document,
            issues=tuple(issues),
            estimate=await provider.estimate_cost(operation, payload),
            signals=provider.score_payload(payload, issues),
            safe_to_repeat=capabilities.safe_to_repeat,
            capabilities=capabilities.changed({"circuit": circuit}) if order.with_capabilities else None,
            intent_schema=_intent_schema(order.intent, self._registry, capabilities)
            if order.with_capabilities
            else None,
        )
        return Draft(intent, prepared)


async def issues_of(provider: AIProvider, operation: str, payload: Mapping[str, Any]) -> list[Issue]:
    """Return the issues of a payload, built by us or edited by a person. Raises ProviderError."""
    costly = costly_schemas(payload, provider.asks_at)
    return [*costly, *await provider.validate_payload(operation, payload)][:MAX_ISSUES]


def settle(intent: CallIntent, provider: AIProvider, capabilities: Capabilities) -> CallIntent:
    """Choose what the intent leaves open: the operation by model, tool name or default, the model by operation.

    Raises ProviderError for a model or an operation that is not on offer.
    """
    models = {model.name: model.operations for model in capabilities.models}
    if intent.model is not None and intent.model not in models and not capabilities.any_model:
        raise _not_offered("model", intent.model, sorted(models))
    operation = intent.operation or _operation(intent, provider, capabilities, models)
    if operation not in capabilities.operations:
        raise _not_offered("operation", operation, list(capabilities.operations))
    model = intent.model
    if model is None:
        fitting = [name for name, operations in models.items() if operation in operations]
        default = capabilities.default_model
        model = default if default in fitting or not fitting else fitting[0]
    return intent.changed({"provider": provider.name, "model": model, "operation": operation})


def _operation(
    intent: CallIntent, provider: AIProvider, capabilities: Capabilities, models: dict[str, tuple[str, ...]]
) -> str:
    meant = provider.tools.get(intent.provider.strip().lower()) or capabilities.default_operation
    able = models.get(intent.model or "", ())
    return meant if meant in able or not able else able[0]


async def find_attachments(artifacts: TenantArtifacts, urls: Sequence[str]) -> tuple[list[Attachment], list[Issue]]:
    """Look up an intent's attachments. Links are passed on unopened; a missing artifact is an issue."""
    found: list[Attachment] = []
    missing: list[Issue] = []
    for index, url in enumerate(urls):
        if not url.startswith("artifact:"):
            found.append(Attachment(url))
        elif (artifact := await artifacts.find(url)) is not None:
            found.append(Attachment(url, artifact.media_type, artifact.size))
        else:
            message = f"The attachment {url[:100]} is not in the artifact store; upload it again."
            missing.append(Issue(code="artifact_missing", message=message, path=pointer(["attachments", index])))
    return found, missing


def _unconfigured(capabilities: Capabilities) -> list[Issue]:
    if capabilities.configured:
        return []
    message = f"The worker holds no key for {capabilities.provider}, so this payload cannot be sent."
    return [Issue(code="provider_unconfigured", message=message)]


def _not_offered(what: str, given: str, offered: list[str]) -> ProviderError:
    message = f"There is no {what} {given[:100]!r}; on offer are {', '.join(offered) or 'none'}."
    issue = Issue(code=f"{what}_unknown", message=message, path=pointer([what]))
    return ProviderError(Failure(code=f"{what}_unknown", message=message, issues=(issue,)))


def _intent_schema(asked: CallIntent, registry: Registry, capabilities: Capabilities) -> dict[str, Any]:
    # A tool's name stands for a provider and stays valid when the reviewer changes something else.
    schema = catalog_schema(list({*registry.names, asked.provider}))
    if not capabilities.any_model:
        schema["properties"]["operation"] = {"enum": [*capabilities.operations, None], "default": None}
    return schema
