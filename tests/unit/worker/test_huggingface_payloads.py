"""Requests to HuggingFace: payloads, the schema, rules, names, addresses."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.providers.call import CallIntent, Severity
from provider_worker.preparation.draft import settle
from provider_worker.providers.base import Attachment, ProviderError
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.huggingface.payloads import ROUTER, Addresses, build
from provider_worker.providers.huggingface.rules import CLASSIFIER, ZERO_SHOT
from provider_worker.providers.registry import Registry

from .vendor_messages import an_intent

ELSEWHERE = "http://127.0.0.1:9"


def _intent(operation: str = "text", **given: Any) -> CallIntent:
    return an_intent("huggingface", given.pop("model", "acme/tiny"), operation, **given)


def _build(operation: str = "text", *attachments: Attachment, **given: Any) -> dict[str, Any]:
    return build(_intent(operation, **given), attachments, is_router=True)


def test_a_text_payload_is_the_body_that_is_sent() -> None:
    """Parameters are its members, `system` and `messages` come before the prompt, and the intent's model wins."""
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    parameters = {"temperature": 0.2, "system": "Be brief.", "messages": history, "model": "other", "top_k": 4}
    assert _build(parameters=parameters) == {
        "model": "acme/tiny",
        "messages": [{"role": "system", "content": "Be brief."}, *history, {"role": "user", "content": "Hello"}],
        "temperature": 0.2,
        "top_k": 4,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("is_router", "schema", "expected"),
    [
        (True, None, {"type": "json_object"}),
        (
            True,
            {"type": "object"},
            {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": False},
            },
        ),
        (False, None, {"type": "json_object", "value": {"type": "object"}}),
        (False, {"type": "array"}, {"type": "json_object", "value": {"type": "array"}}),
    ],
    ids=["router, any object", "router, a schema", "elsewhere, any object", "elsewhere, a schema"],
)
def test_a_json_payload_asks_for_it_in_the_server_s_own_form(
    schema: Any, expected: dict[str, Any], *, is_router: bool
) -> None:
    """The router takes OpenAI's, Text Generation Inference a grammar's value."""
    intent = _intent("json", parameters={} if schema is None else {"schema": schema})
    assert build(intent, [], is_router=is_router)["response_format"] == expected


def test_a_format_that_is_given_is_left_alone() -> None:
    """Servers differ; who knows one better says so."""
    given = {"type": "regex", "value": "[a-z]+"}
    assert _build("json", parameters={"response_format": given})["response_format"] == given


def test_a_pipeline_s_payload_names_the_model_beside_its_body() -> None:
    """So that an approval covers it; `labels` is what HuggingFace calls candidate labels."""
    assert _build("image", parameters={"seed": 7, "model": "other"}) == {
        "model": "acme/tiny",
        "inputs": "Hello",
        "parameters": {"seed": 7},
    }
    labelled = _build("classification", parameters={"labels": ["a", "b"], "multi_label": True})
    assert labelled["parameters"] == {"candidate_labels": ["a", "b"], "multi_label": True}
    assert "parameters" not in _build("classification")


def test_files_stay_refs_in_the_payload() -> None:
    """Images and text travel in a chat; links are taken for images."""
    ref = "artifact:sha256:" + "0" * 64
    attachments = [
        Attachment(ref, "image/png", 1),
        Attachment(ref, "text/csv", 1),
        Attachment("https://example.com/cat.png"),
    ]
    parts = _build("text", *attachments)["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text", "image_url"]
    assert parts[1]["image_url"]["url"] == parts[2]["text"] == ref


@pytest.mark.parametrize(
    ("operation", "kind"), [("text", "application/pdf"), ("image", "image/png"), ("classification", "text/plain")]
)
def test_an_attachment_that_cannot_be_sent_is_named(operation: str, kind: str) -> None:
    """With its place among the attachments."""
    with pytest.raises(ProviderError) as refused:
        _build(operation, Attachment("artifact:sha256:" + "0" * 64, kind, 1))
    (issue,) = refused.value.failure.issues
    assert (issue.code, issue.path) == ("attachment_unsupported", "/attachments/0")


@pytest.mark.parametrize(
    ("operation", "parameters", "path", "fix"),
    [
        ("text", {"temperature": 9}, "/temperature", {"temperature": 2}),
        ("text", {"max_tokens": "50"}, "/max_tokens", {"max_tokens": 50}),
        ("text", {"stream": "True"}, "/stream", {"stream": True}),
        ("text", {"stop": "END"}, "/stop", None),
        ("image", {"width": 0}, "/parameters/width", {"parameters": {"width": 1}}),
        (
            "classification",
            {"function_to_apply": "Softmax"},
            "/parameters/function_to_apply",
            {"parameters": {"function_to_apply": "softmax"}},
        ),
        ("classification", {"labels": "good"}, "/parameters/candidate_labels", None),
        ("classification", {"hypothesis_template": "It is."}, "/parameters/hypothesis_template", None),
    ],
)
async def test_what_does_not_fit_the_schema_is_named_with_its_mend(
    operation: str, parameters: dict[str, Any], path: str, fix: Any
) -> None:
    """Where there is only one."""
    provider = HuggingFaceProvider(None, None)
    (issue,) = await provider.validate_payload(operation, _build(operation, parameters=parameters))
    assert (issue.path, issue.suggested_fix, issue.auto_fixable) == (path, fix, fix is not None)


async def test_unknown_members_are_passed_on_with_a_warning() -> None:
    """Wherever they stand; the likely spelling is suggested."""
    provider = HuggingFaceProvider(None, None)
    payload = {**_build("image", parameters={"widht": 64}), "optoins": {}}
    issues = await provider.validate_payload("image", payload)
    assert [(issue.code, issue.path, issue.severity) for issue in issues] == [
        ("parameter_unknown", "/optoins", Severity.WARNING),
        ("parameter_unknown", "/parameters/widht", Severity.WARNING),
    ]
    assert issues[1].suggested_fix == {"parameters": {"widht": None, "width": 64}}


@pytest.mark.parametrize("model", ["http://127.0.0.1:9/x", "../secrets", "a/b/c", "a?b", "", None])
async def test_a_pipeline_s_model_is_a_name_and_no_address(model: str | None) -> None:
    """It becomes part of one."""
    issues = await HuggingFaceProvider(None, None).validate_payload("image", {"model": model, "inputs": "a cat"})
    assert [issue.path for issue in issues] == ["/model"]
    assert issues[0].severity is Severity.ERROR


@pytest.mark.parametrize(
    ("model", "parameters", "expected"),
    [
        (CLASSIFIER, {"labels": ["a"]}, ("model_does_not_take", {"model": ZERO_SHOT})),
        (ZERO_SHOT, {}, ("labels_missing", None)),
        (ZERO_SHOT, {"labels": ["a"]}, None),
        (CLASSIFIER, {}, None),
        ("acme/tiny", {"labels": ["a"]}, None),
    ],
)
async def test_labels_go_with_a_model_that_takes_them(model: str, parameters: dict[str, Any], expected: Any) -> None:
    """The one on offer that takes any is the mend; other models are not judged."""
    payload = _build("classification", model=model, parameters=parameters)
    issues = await HuggingFaceProvider(None, None).validate_payload("classification", payload)
    assert [(issue.code, issue.suggested_fix) for issue in issues] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("asked", "operation", "model"),
    [
        ({"provider": "huggingface"}, "text", "openai/gpt-oss-120b"),
        ({"provider": "hf"}, "text", "openai/gpt-oss-120b"),
        ({"provider": "hf-text", "model": "acme/tiny"}, "text", "acme/tiny"),
        ({"provider": "HF-Image"}, "image", "stabilityai/stable-diffusion-xl-base-1.0"),
        ({"provider": "hf", "operation": "classification"}, "classification", CLASSIFIER),
        ({"provider": "hf", "model": ZERO_SHOT}, "classification", ZERO_SHOT),
    ],
)
async def test_its_names_stand_for_operations_and_those_for_models(
    asked: dict[str, Any], operation: str, model: str
) -> None:
    """In upper or lower case; any other model is passed on."""
    provider = HuggingFaceProvider(None, None)
    intent = CallIntent(prompt="Hello", **asked)
    assert Registry([provider]).find(intent.provider) is provider
    settled = settle(intent, provider, await provider.get_capabilities())
    assert (settled.provider, settled.operation, settled.model) == ("huggingface", operation, model)


@pytest.mark.parametrize(
    ("base_url", "chat", "models"),
    [
        (None, f"{ROUTER}/v1/chat/completions", f"{ROUTER}/hf-inference/models"),
        (f"{ROUTER}/v1", f"{ROUTER}/v1/chat/completions", f"{ROUTER}/hf-inference/models"),
        (ELSEWHERE, f"{ELSEWHERE}/v1/chat/completions", f"{ELSEWHERE}/models"),
        (f"{ELSEWHERE}/v1/", f"{ELSEWHERE}/v1/chat/completions", f"{ELSEWHERE}/models"),
    ],
)
def test_a_base_url_is_taken_with_its_version_or_without(base_url: str | None, chat: str, models: str) -> None:
    """Both are in use; the router keeps hosted models under a name of their own, and has its own form of a schema."""
    assert Addresses.under(base_url) == Addresses(chat, models, is_router=chat.startswith(ROUTER))
