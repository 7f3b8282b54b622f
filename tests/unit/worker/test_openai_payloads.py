"""Requests to OpenAI: payloads with their files, OpenAI's own rules, estimates."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from contracts.providers.call import CallIntent, Severity
from provider_worker.providers.base import Attachment, ProviderError
from provider_worker.providers.chat_completions.payloads import is_strict, with_files
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.openai.payloads import build
from provider_worker.providers.openai.rules import reasoning_issues
from provider_worker.testing.memory import MemoryArtifacts

from .vendor_messages import an_intent


def _intent(operation: str = "text", **given: Any) -> CallIntent:
    return an_intent("openai", given.pop("model", "fake-1"), operation, **given)


def test_a_text_payload_is_the_body_that_is_sent() -> None:
    """Parameters are its members, `system` and `messages` come before the prompt, and the intent's model wins."""
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    parameters = {"temperature": 0.2, "system": "Be brief.", "messages": history, "model": "other", "top_k": 4}
    assert build(_intent(parameters=parameters), []) == {
        "model": "fake-1",
        "messages": [{"role": "system", "content": "Be brief."}, *history, {"role": "user", "content": "Hello"}],
        "temperature": 0.2,
        "top_k": 4,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_json_payload_asks_for_structured_output() -> None:
    """By the schema given, strictly where OpenAI can promise that; without a schema for any object."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    loose = build(_intent("json", parameters={"schema": schema}), [])
    assert loose["response_format"]["json_schema"] == {"name": "answer", "schema": schema, "strict": False}
    strict = {**schema, "required": ["a"], "additionalProperties": False}
    assert build(_intent("json", parameters={"schema": strict}), [])["response_format"]["json_schema"]["strict"]
    free = build(_intent("json"), [])
    assert free["response_format"] == {"type": "json_object"}
    assert "JSON" in free["messages"][0]["content"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"properties": {"a": {}}, "additionalProperties": False},
        {"items": {"type": "object"}},
        {"anyOf": [{"type": "object"}]},
    ],
)
def test_a_schema_with_open_objects_is_not_strict(schema: Any) -> None:
    """Anywhere inside it."""
    assert not is_strict(schema)


async def test_files_stay_refs_in_the_payload_and_go_out_as_bytes() -> None:
    """An approval is bound to the hash in the ref; images, PDFs and text each travel in their own way."""
    artifacts = MemoryArtifacts().of("acme")
    image, pdf, text = [
        await artifacts.keep(body, kind)
        for body, kind in ((b"\x89PNG", "image/png"), (b"%PDF", "application/pdf"), (b"words", "text/csv"))
    ]
    attachments = [
        Attachment(image, "image/png", 4),
        Attachment(pdf, "application/pdf", 4),
        Attachment(text, "text/csv", 5),
        Attachment("https://example.com/cat.png"),
    ]
    payload = build(_intent(), attachments)
    parts = payload["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "file", "text", "image_url"]
    assert image in str(parts)
    sent = (await with_files(payload, artifacts))["messages"][0]["content"]
    assert sent[1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="
    assert sent[2]["file"]["file_data"] == "data:application/pdf;base64,JVBERg=="
    assert sent[3]["text"] == "words"
    assert sent[4]["image_url"]["url"] == "https://example.com/cat.png"
    assert payload["messages"][0]["content"] == parts


async def test_a_file_that_is_gone_stops_the_call() -> None:
    """Before anything is sent."""
    payload = build(_intent(), [Attachment("artifact:sha256:" + "0" * 64, "image/png", 1)])
    with pytest.raises(ProviderError) as refused:
        await with_files(payload, MemoryArtifacts().of("acme"))
    assert (refused.value.failure.code, refused.value.failure.uncertain) == ("artifact_missing", False)


@pytest.mark.parametrize(("operation", "kind"), [("text", "video/mp4"), ("image", "image/png")])
def test_an_attachment_that_cannot_be_sent_is_named(operation: str, kind: str) -> None:
    """With its place among the attachments."""
    with pytest.raises(ProviderError) as refused:
        build(_intent(operation), [Attachment("artifact:sha256:" + "0" * 64, kind, 1)])
    (issue,) = refused.value.failure.issues
    assert (issue.code, issue.path) == ("attachment_unsupported", "/attachments/0")


async def test_an_image_payload_asks_for_bytes() -> None:
    """Models that would answer with a link are asked for the image itself."""
    assert build(_intent("image", parameters={"size": "64x64"}), [])["response_format"] == "b64_json"
    assert "response_format" not in build(_intent("image", model="gpt-image-2"), [])


async def test_an_estimate_counts_characters_images_and_the_longest_answer() -> None:
    """A token is four characters; an unknown model has no estimate."""
    provider = OpenAIProvider("sk-test-key", None)
    payload = build(_intent(model="gpt-5.4-mini", prompt="x" * 4000, parameters={"max_completion_tokens": 100}), [])
    assert await provider.estimate_cost("text", payload) == (1001 * Decimal("0.75") + 100 * Decimal("4.5")) / 1_000_000
    assert await provider.estimate_cost("text", build(_intent(), [])) is None
    image = build(_intent("image", model="gpt-image-2", parameters={"n": 2, "quality": "low"}), [])
    assert await provider.estimate_cost("image", image) == (1 * 5 + 544 * 30) / Decimal(1_000_000)


@pytest.mark.parametrize(
    ("payload", "fixes"),
    [
        ({"model": "gpt-5.4-mini", "temperature": 0.2}, [{"temperature": None}]),
        ({"model": "gpt-5.4-mini", "temperature": 1}, []),
        ({"model": "gpt-5.4", "temperature": 0.2, "reasoning_effort": "none"}, []),
        ({"model": "o3", "max_tokens": 9}, [{"max_tokens": None, "max_completion_tokens": 9}]),
        ({"model": "gpt-4.1", "temperature": 0.2, "max_tokens": 9}, []),
    ],
)
def test_what_reasoning_models_do_not_take_can_be_mended(payload: Any, fixes: list[Any]) -> None:
    """Without a person: the mend is the only one there is."""
    issues = reasoning_issues(payload)
    assert [issue.suggested_fix for issue in issues] == fixes
    assert all(issue.auto_fixable for issue in issues)


async def test_those_rules_are_openai_s_own() -> None:
    """Another server's model of the same name may take them; unknown members are passed on with a warning."""
    payload = build(_intent(model="gpt-5.4-mini", parameters={"temperature": 0.2, "top_k": 3}), [])
    codes = {
        name: [(issue.code, issue.severity) for issue in await provider.validate_payload("text", payload)]
        for name, provider in (
            ("own", OpenAIProvider("sk-test-key", None)),
            ("other", OpenAIProvider(None, "http://127.0.0.1:9/v1")),
        )
    }
    unknown = ("parameter_unknown", Severity.WARNING)
    assert codes == {"own": [unknown, ("model_does_not_take", Severity.ERROR)], "other": [unknown]}


@pytest.mark.parametrize(
    ("operation", "parameters", "members"),
    [
        ("text", {}, {"stream": True, "stream_options": {"include_usage": True}}),
        ("text", {"stream": False}, {"stream": False}),
        ("text", {"stream_options": None}, {"stream": True, "stream_options": None}),
        ("json", {}, {}),
        ("json", {"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ("image", {}, {}),
    ],
)
async def test_texts_stream_unless_the_parameters_say_otherwise(operation: str, parameters: Any, members: Any) -> None:
    """JSON and images do where they are asked to; all of it stands in the payload that people approve."""
    payload = build(_intent(operation, parameters=parameters), [])
    assert {name: payload[name] for name in ("stream", "stream_options") if name in payload} == members
    assert await OpenAIProvider(None, "http://127.0.0.1:9/v1").validate_payload(operation, payload) == []
