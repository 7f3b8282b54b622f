"""Requests to Anthropic: payloads with their files, the schema, Anthropic's own rules, estimates."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contracts.providers.call import CallIntent, Severity
from provider_worker.providers.anthropic import AnthropicProvider
from provider_worker.providers.anthropic.files import with_files
from provider_worker.providers.anthropic.payloads import TOOL, build
from provider_worker.providers.anthropic.rules import anthropic_issues
from provider_worker.providers.base import Attachment, ProviderError
from provider_worker.providers.pricing import PriceTable
from provider_worker.testing.memory import MemoryArtifacts

from .vendor_messages import an_intent

PRICES = PriceTable.of("provider_worker.providers.anthropic")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
MILLION = Decimal(1_000_000)


def _intent(operation: str = "text", **given: Any) -> CallIntent:
    return an_intent("anthropic", given.pop("model", "claude-haiku-4-5"), operation, **given)


def _payload(*roles: str, **members: Any) -> dict[str, Any]:
    messages = [{"role": role, "content": "Hi"} for role in roles or ("user",)]
    return {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": messages, **members}


def test_a_text_payload_is_the_body_that_is_sent() -> None:
    """Parameters are its members, `messages` come before the prompt, and the intent's model wins."""
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    parameters = {"system": "Be brief.", "messages": history, "model": "other", "x": 4}
    assert build(_intent(parameters=parameters), []) == {
        "model": "claude-haiku-4-5",
        "max_tokens": 4096,
        "messages": [*history, {"role": "user", "content": "Hello"}],
        "stream": True,
        "system": "Be brief.",
        "x": 4,
    }


@pytest.mark.parametrize(
    ("operation", "parameters", "streams"),
    [("text", {}, True), ("text", {"stream": False}, False), ("json", {}, None), ("json", {"stream": True}, True)],
)
def test_text_streams_unless_told_otherwise(operation: str, parameters: dict[str, Any], streams: Any) -> None:
    """As a member of the payload, so that the sent bytes are the approved ones; structured output streams when asked to."""
    assert build(_intent(operation, parameters=parameters), []).get("stream") is streams


def test_a_json_payload_forces_one_tool_whose_input_is_the_answer() -> None:
    """By the schema given; without a schema any object will do."""
    body = build(_intent("json", parameters={"schema": SCHEMA}), [])
    (tool,) = body["tools"]
    assert (tool["name"], tool["input_schema"]) == (TOOL, SCHEMA)
    assert body["tool_choice"] == {"type": "tool", "name": TOOL, "disable_parallel_tool_use": True}
    assert build(_intent("json"), [])["tools"][0]["input_schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("model", "thinking", "choice"),
    [
        ("claude-haiku-4-5-20251001", None, "tool"),
        ("claude-haiku-4-5", {"type": "disabled"}, "tool"),
        ("claude-haiku-4-5", {"type": "enabled", "budget_tokens": 1024}, "auto"),
        ("claude-opus-4-8", {"type": "adaptive"}, "auto"),
        ("claude-sonnet-5", None, "auto"),
        ("claude-opus-5-5", None, "auto"),
        ("claude-fable-5-1", None, "auto"),
        ("claude-mythos-preview", None, "auto"),
        ("anthropic/claude-opus-5.5", None, "auto"),
        ("someone-elses-model", None, "tool"),
    ],
)
def test_where_a_model_thinks_the_tool_is_asked_for_in_words(model: str, thinking: Any, choice: str) -> None:
    """It would be refused if it were forced; the caller's own instructions stay."""
    parameters = {"system": "Be brief.", **({"thinking": thinking} if thinking else {})}
    body = build(_intent("json", model=model, parameters=parameters), [])
    assert body["tool_choice"]["type"] == choice
    assert body["system"].startswith("Be brief.")
    assert (TOOL in body["system"]) is (choice == "auto")
    assert anthropic_issues(body) == []


@pytest.mark.parametrize("own", [{"tools": [{"name": "mine"}]}, {"output_config": {"format": {"type": "json_schema"}}}])
def test_who_asks_for_structure_in_their_own_way_gets_no_tool_of_ours(own: dict[str, Any]) -> None:
    """The body is theirs."""
    assert {**build(_intent("json", parameters=own), []), "stream": True} == build(_intent(parameters=own), [])


async def test_files_stay_refs_in_the_payload_and_go_out_as_bytes() -> None:
    """An approval is bound to the hash in the ref; images, PDFs, text and links each travel in their own block."""
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
        Attachment("https://example.com/a.PDF?x=1"),
    ]
    payload = build(_intent(), attachments)
    blocks = payload["messages"][0]["content"]
    assert [block["type"] for block in blocks] == ["image", "document", "document", "image", "document", "text"]
    assert image in str(blocks)
    sent = (await with_files(payload, artifacts))["messages"][0]["content"]
    assert sent[0]["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert sent[1]["source"] == {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    assert sent[2]["source"] == {"type": "text", "media_type": "text/plain", "data": "words"}
    assert sent[3:] == blocks[3:]
    assert sent[4]["source"] == {"type": "url", "url": "https://example.com/a.PDF?x=1"}


async def test_a_file_that_is_gone_stops_the_call() -> None:
    """Before anything is sent."""
    payload = build(_intent(), [Attachment("artifact:sha256:" + "0" * 64, "image/png", 1)])
    with pytest.raises(ProviderError) as refused:
        await with_files(payload, MemoryArtifacts().of("acme"))
    assert (refused.value.failure.code, refused.value.failure.uncertain) == ("artifact_missing", False)


@pytest.mark.parametrize("kind", ["video/mp4", "image/tiff"])
def test_an_attachment_that_cannot_be_sent_is_named(kind: str) -> None:
    """With its place among the attachments."""
    with pytest.raises(ProviderError) as refused:
        build(_intent(), [Attachment("artifact:sha256:" + "0" * 64, kind, 1)])
    (issue,) = refused.value.failure.issues
    assert (issue.code, issue.path) == ("attachment_unsupported", "/attachments/0")


@pytest.mark.parametrize(
    ("payload", "code", "fix"),
    [
        ({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, "schema_required", {"max_tokens": 4096}),
        (_payload(max_tokens="64"), "schema_type", {"max_tokens": 64}),
        (_payload(max_tokens=0), "schema_minimum", {"max_tokens": 1}),
        (_payload(temperature=1.5), "schema_maximum", {"temperature": 1}),
        (_payload(stream="True"), "schema_type", {"stream": True}),
        (_payload(service_tier="Auto"), "schema_enum", {"service_tier": "auto"}),
        (_payload(tools=[{"name": "a", "input_schema": {"type": "array"}}]), "schema_const", None),
        (_payload(max_token=5), "parameter_unknown", {"max_token": None, "max_tokens": 5}),
        (_payload(messages=[]), "schema_minItems", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_does_not_fit_the_schema_is_named_with_its_mend(payload: Any, code: str, fix: Any) -> None:
    """Where there is only one; on any server that speaks the protocol."""
    provider = AnthropicProvider(None, "http://127.0.0.1:9")
    issues = await provider.validate_payload("text", payload)
    assert [(issue.code, issue.suggested_fix) for issue in issues] == [(code, fix)]
    await provider.close()


@pytest.mark.parametrize(
    ("payload", "fixes"),
    [
        (_payload(temperature=1, top_p=0.5, top_k=4), [{"temperature": None}, {"top_p": None}, {"top_k": None}]),
        (
            _payload(model="claude-opus-5-5", tool_choice={"type": "tool", "name": "a"}),
            [{"tool_choice": {"type": "auto", "name": None}}],
        ),
        (_payload(tool_choice={"type": "tool", "name": "a"}), []),
        (_payload(model="claude-opus-5-5", tool_choice={"type": "none"}), []),
    ],
)
def test_what_anthropic_no_longer_takes_can_be_mended(payload: Any, fixes: list[Any]) -> None:
    """Without a person: the mend is the only one there is."""
    issues = anthropic_issues(payload)
    assert [issue.suggested_fix for issue in issues] == fixes
    assert all(issue.auto_fixable for issue in issues)


@pytest.mark.parametrize(
    ("payload", "code", "path", "severity"),
    [
        (_payload("assistant", "user"), "conversation_begins_wrongly", "/messages/0/role", Severity.ERROR),
        (_payload("system", "user"), "conversation_begins_wrongly", "/messages/0/role", Severity.ERROR),
        (_payload("user", "user"), "roles_do_not_alternate", "/messages/1/role", Severity.WARNING),
        (
            _payload("user", "assistant", model="claude-sonnet-5"),
            "model_does_not_take",
            "/messages/1",
            Severity.ERROR,
        ),
    ],
)
def test_an_odd_conversation_is_named(payload: Any, code: str, path: str, severity: Severity) -> None:
    """And is left to a person: which message is wrong only they know."""
    (issue,) = anthropic_issues(payload)
    assert (issue.code, issue.path, issue.severity, issue.auto_fixable) == (code, path, severity, False)


def test_a_conversation_in_turns_is_none() -> None:
    """Older models also go on with an answer that is begun."""
    assert anthropic_issues(_payload("user", "assistant", "user")) == []
    assert anthropic_issues(_payload("user", "assistant")) == []
    assert anthropic_issues({"messages": [7, None], "model": 5}) != []
    assert anthropic_issues({}) == []


async def test_those_rules_are_anthropic_s_own() -> None:
    """Another server may take what Anthropic does not."""
    payload = _payload(temperature=0.2)
    own, other = AnthropicProvider("sk-ant-test", None), AnthropicProvider(None, "http://127.0.0.1:9")
    assert [issue.code for issue in await own.validate_payload("text", payload)] == ["model_does_not_take"]
    assert await other.validate_payload("text", payload) == []
    await own.close()
    await other.close()


async def test_an_estimate_counts_characters_files_and_the_longest_answer(tmp_path: Path) -> None:
    """So it is the highest cost of the call, by the operator's own prices where there are any."""
    own = tmp_path / "prices.json"
    own.write_text('{"anthropic": {"mine": {"input": "1000000", "output": "0"}}}')
    provider = AnthropicProvider("sk-ant-test", None, own)
    attachments = [Attachment("https://example.com/a.png"), Attachment("https://example.com/a.pdf")]
    payload = build(_intent(prompt="x" * 400, parameters={"system": "y" * 40, "max_tokens": 50}), attachments)
    given = 100 + 10 + 1600 + 3000 + len("usertext") // 4
    assert await provider.estimate_cost("text", payload) == (given + 50 * 5) / MILLION
    assert await provider.estimate_cost("text", {**payload, "model": "mine"}) == given
    assert await provider.estimate_cost("text", {**payload, "max_tokens": None}) is None
    await provider.close()


async def test_the_default_model_is_one_whose_price_is_known() -> None:
    """And every model on offer does everything that is offered."""
    capabilities = await AnthropicProvider(None, None).get_capabilities()
    assert capabilities.default_model in PRICES.models
    assert {model.operations for model in capabilities.models} == {("text", "json")}
