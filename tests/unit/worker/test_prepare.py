"""A prepare order is answered with facts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from contracts.providers.call import Preparation
from contracts.providers.orders import PrepareOrder
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.base import ProviderError
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts

MakePrepare = Callable[..., PrepareOrder]


@pytest.fixture
def both(sandbox: SandboxProvider) -> Registry:
    """Give a registry of the sandbox and an OpenAI without a key."""
    return Registry([sandbox, OpenAIProvider(None, None)])


async def _prepare(order: PrepareOrder, registry: Registry, artifacts: MemoryArtifacts | None = None) -> Any:
    return await Preparer(registry, artifacts or MemoryArtifacts(), Sanitizer(["sk-a-very-secret-key"])).prepare(order)


async def test_what_the_intent_leaves_open_is_chosen(prepare_order: MakePrepare, both: Registry) -> None:
    """Default model, default operation, and whether the call may be repeated."""
    preparation = await _prepare(prepare_order(), both)
    assert (preparation.provider, preparation.model, preparation.operation) == ("sandbox", "sandbox-1", "text")
    assert preparation.safe_to_repeat
    assert preparation.payload == {"model": "sandbox-1", "prompt": "Hello", "parameters": {}}
    assert preparation.signals.confidence == 1.0
    assert preparation.estimate == Decimal("0.00205")


@pytest.mark.parametrize(
    ("intent", "chosen"),
    [
        ({"provider": "sandbox-image"}, ("sandbox", "sandbox-1", "image")),
        ({"model": "sandbox-image-1"}, ("sandbox", "sandbox-image-1", "image")),
        ({"provider": "openai-image"}, ("openai", "gpt-image-2.5-flare", "image")),
        ({"provider": "gpt"}, ("openai", "gpt-5.4-mini", "text")),
        ({"provider": "OpenAI", "operation": "json"}, ("openai", "gpt-5.4-mini", "json")),
        ({"provider": "openai", "model": "gpt-image-2"}, ("openai", "gpt-image-2", "image")),
        ({"provider": "openai", "model": "llama-local"}, ("openai", "llama-local", "text")),
    ],
)
async def test_tool_names_and_models_say_which_operation_is_meant(
    prepare_order: MakePrepare, both: Registry, intent: dict[str, Any], chosen: tuple[str, str, str]
) -> None:
    """A tool's name stands for provider and operation; a model for the operation it can do."""
    preparation = await _prepare(prepare_order(**intent), both)
    assert (preparation.provider, preparation.model, preparation.operation) == chosen


@pytest.mark.parametrize(
    ("intent", "code", "path"),
    [({"operation": "video"}, "operation_unknown", "/operation"), ({"model": "sandbox-9"}, "model_unknown", "/model")],
)
async def test_what_is_not_on_offer_is_a_failure_with_its_place(
    prepare_order: MakePrepare, both: Registry, intent: dict[str, Any], code: str, path: str
) -> None:
    """No retry mends it, and the message names the offered ones."""
    with pytest.raises(ProviderError) as refused:
        await _prepare(prepare_order(**intent), both)
    failure = refused.value.failure
    assert (failure.code, failure.retryable, failure.issues[0].path) == (code, False, path)


async def test_fixable_issues_are_counted_as_changes(prepare_order: MakePrepare, both: Registry) -> None:
    """Unfixed: the payload is as asked, the issues carry the mends."""
    order = prepare_order(parameters={"temperature": "5", "max_tokens": 0, "colour": "red"})
    preparation = await _prepare(order, both)
    assert preparation.payload["parameters"] == {"temperature": "5", "max_tokens": 0, "colour": "red"}
    assert preparation.signals.payload_changes == 2
    assert preparation.signals.confidence == 0.85


async def test_an_issue_that_needs_judgement_takes_all_confidence(prepare_order: MakePrepare, both: Registry) -> None:
    """The intended value is unknown."""
    preparation = await _prepare(prepare_order(parameters={"temperature": "hot"}), both)
    assert preparation.signals.confidence == 0.0
    assert preparation.signals.payload_changes == 0


async def test_attachments_are_looked_up_in_their_own_tenant(prepare_order: MakePrepare, both: Registry) -> None:
    """A found attachment goes into the payload, links unopened; a missing one is an issue at its place."""
    artifacts = MemoryArtifacts()
    mine = await artifacts.of("acme").keep(b"mine", "text/plain")
    theirs = await artifacts.of("other").keep(b"theirs", "text/plain")
    order = prepare_order(attachments=(mine, "https://example.com/a.png", theirs))
    preparation = await _prepare(order, both, artifacts)
    assert preparation.payload["attachments"] == [mine, "https://example.com/a.png"]
    assert [(issue.code, issue.path) for issue in preparation.issues] == [("artifact_missing", "/attachments/2")]


async def test_capabilities_come_only_when_asked_for(prepare_order: MakePrepare, both: Registry) -> None:
    """With the schema of the intent, which the intent itself satisfies."""
    assert (await _prepare(prepare_order(), both)).capabilities is None
    order = prepare_order(provider="sandbox-image", with_capabilities=True)
    preparation = await _prepare(order, both)
    assert preparation.capabilities.provider == "sandbox"
    schema = Draft202012Validator(preparation.intent_schema)
    intent = order.intent.model_dump(mode="json")
    assert schema.is_valid(intent)
    assert schema.is_valid({**intent, "provider": "openai", "operation": "json"})
    assert not schema.is_valid({**intent, "provider": "nobody"})
    assert not schema.is_valid({**intent, "operation": "video"})


async def test_any_operation_is_left_to_a_provider_that_takes_any_model(
    prepare_order: MakePrepare, both: Registry
) -> None:
    """Its schema does not narrow the operation."""
    preparation = await _prepare(prepare_order(provider="openai", with_capabilities=True), both)
    assert "enum" not in preparation.intent_schema["properties"]["operation"]


async def test_a_provider_without_a_key_says_so_before_the_call(prepare_order: MakePrepare, both: Registry) -> None:
    """The payload can be seen; an issue says that it cannot be sent."""
    preparation = await _prepare(prepare_order(provider="openai"), both)
    assert [issue.code for issue in preparation.issues] == ["provider_unconfigured"]


async def test_parameters_nested_too_deeply_are_refused(prepare_order: MakePrepare, both: Registry) -> None:
    """Wrapped in events they could not be recorded."""
    deep: Any = 1
    for _ in range(50):
        deep = [deep]
    with pytest.raises(ProviderError) as refused:
        await _prepare(prepare_order(parameters={"schema": {"const": deep}}), both)
    assert refused.value.failure.code == "payload_too_deep"


async def test_whatever_a_provider_builds_can_be_recorded(prepare_order: MakePrepare) -> None:
    """It is sanitized, and not validated again before it is an event."""

    class Odd(SandboxProvider):
        async def create_payload(self, *_: Any) -> dict[str, Any]:
            """Build values that no event may hold."""
            return {"model": "m", "prompt": "\ud800", "parameters": {"big": 2**70, "nan": float("nan")}}

    preparation = await _prepare(prepare_order(), Registry([Odd()]))
    told = Preparation.model_validate_json(preparation.model_dump_json())
    assert told.payload == {"model": "m", "prompt": "\ufffd", "parameters": {"big": 2**70, "nan": None}}
    assert told.model_dump() == preparation.model_dump()


async def test_a_key_in_a_prompt_does_not_reach_the_payload(prepare_order: MakePrepare, both: Registry) -> None:
    """The worker's own key in a prompt is hidden."""
    preparation = await _prepare(prepare_order(prompt="use sk-a-very-secret-key"), both)
    assert "sk-a-very-secret-key" not in preparation.model_dump_json()
