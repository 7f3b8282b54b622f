"""The Anthropic provider without a server: payloads, rules, prices, errors, audits."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest

from chassis.settings import Settings
from contracts.work import CallIntent, Severity
from provider_worker.fakes.memory import MemoryShelves
from provider_worker.providers.anthropic import AnthropicProvider
from provider_worker.providers.anthropic.auditing import audit_message
from provider_worker.providers.anthropic.connection import failure_of, rate_limit
from provider_worker.providers.anthropic.files import with_files
from provider_worker.providers.anthropic.payloads import TOOL, build
from provider_worker.providers.anthropic.prices import cost_of
from provider_worker.providers.anthropic.rules import anthropic_issues
from provider_worker.providers.base import Attachment, Call, ProviderError
from provider_worker.providers.http.failures import ResponseTooLarge
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.validation import compile_schema

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/messages")
PRICES = PriceTable.of("provider_worker.providers.anthropic")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
MILLION = Decimal(1_000_000)


def _intent(operation: str = "text", **given: Any) -> CallIntent:
    named = {"provider": "anthropic", "model": "claude-haiku-4-5", "operation": operation, "prompt": "Hello"}
    return CallIntent(**{**named, **given})


def _payload(*roles: str, **members: Any) -> dict[str, Any]:
    messages = [{"role": role, "content": "Hi"} for role in roles or ("user",)]
    return {"model": "claude-haiku-4-5", "max_tokens": 100, "messages": messages, **members}


def _status(status: int, kind: str, code: str | None = None) -> anthropic.APIStatusError:
    error = {"type": kind, "message": "So it is", **({"details": {"error_code": code}} if code else {})}
    response = httpx2.Response(status, request=REQUEST)
    return anthropic.APIStatusError("Error", response=response, body={"type": "error", "error": error})


def _connection(cause: BaseException) -> anthropic.APIConnectionError:
    error = anthropic.APIConnectionError(request=REQUEST)
    error.__cause__ = cause
    return error


def _answer(*content: Any, stop: str = "end_turn", **members: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": 100}
    return {"model": "claude-haiku-4-5-20251001", "content": [*content], "stop_reason": stop, "usage": usage, **members}


def _said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _used(value: Any, name: str = TOOL) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": value}


def test_a_text_payload_is_the_body_that_is_sent() -> None:
    """Parameters are its members, `messages` come before the prompt, and the intent's model wins."""
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    parameters = {"system": "Be brief.", "messages": history, "model": "other", "x": 4}
    assert build(_intent(parameters=parameters), []) == {
        "model": "claude-haiku-4-5",
        "max_tokens": 4096,
        "messages": [*history, {"role": "user", "content": "Hello"}],
        "system": "Be brief.",
        "x": 4,
    }


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
    """It would be refused if it were forced; what the caller says to the model stays."""
    parameters = {"system": "Be brief.", **({"thinking": thinking} if thinking else {})}
    body = build(_intent("json", model=model, parameters=parameters), [])
    assert body["tool_choice"]["type"] == choice
    assert body["system"].startswith("Be brief.")
    assert (TOOL in body["system"]) is (choice == "auto")
    assert anthropic_issues(body) == []


@pytest.mark.parametrize("own", [{"tools": [{"name": "mine"}]}, {"output_config": {"format": {"type": "json_schema"}}}])
def test_who_asks_for_structure_in_their_own_way_gets_no_tool_of_ours(own: dict[str, Any]) -> None:
    """The body is theirs."""
    assert build(_intent("json", parameters=own), []) == {**build(_intent(), []), **own}


async def test_files_stay_refs_in_the_payload_and_go_out_as_bytes() -> None:
    """An approval is bound to the hash in the ref; images, PDFs, text and links each travel in their own block."""
    shelves = MemoryShelves().of("acme")
    image, pdf, text = [
        await shelves.keep(body, kind)
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
    sent = (await with_files(payload, shelves))["messages"][0]["content"]
    assert sent[0]["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert sent[1]["source"] == {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    assert sent[2]["source"] == {"type": "text", "media_type": "text/plain", "data": "words"}
    assert sent[3:] == blocks[3:]
    assert sent[4]["source"] == {"type": "url", "url": "https://example.com/a.PDF?x=1"}


async def test_a_file_that_is_gone_stops_the_call() -> None:
    """Before anything is sent."""
    payload = build(_intent(), [Attachment("artifact:sha256:" + "0" * 64, "image/png", 1)])
    with pytest.raises(ProviderError) as refused:
        await with_files(payload, MemoryShelves().of("acme"))
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
        (_payload(stream=True), "schema_const", {"stream": False}),
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


@pytest.mark.parametrize(
    ("error", "code", "retryable", "uncertain"),
    [
        (_status(400, "invalid_request_error"), "request_refused", False, False),
        (_status(400, "invalid_request_error", "enforced_spend_limit_reached"), "quota_exceeded", False, False),
        (_status(401, "authentication_error"), "auth_failed", False, False),
        (_status(402, "billing_error"), "quota_exceeded", False, False),
        (_status(403, "permission_error"), "forbidden", False, False),
        (_status(404, "not_found_error"), "not_found", False, False),
        (_status(413, "request_too_large"), "request_refused", False, False),
        (_status(429, "rate_limit_error"), "rate_limited", True, False),
        (_status(429, "rate_limit_error", "ramp_limit_exceeded"), "rate_limited", True, False),
        (_status(429, "rate_limit_error", "contract_spend_limit_reached"), "quota_exceeded", False, False),
        (_status(500, "api_error"), "provider_error", True, False),
        (_status(504, "timeout_error"), "timeout", True, True),
        (_status(529, "overloaded_error"), "provider_error", True, False),
        (_connection(httpx2.ConnectError("refused")), "connection_failed", True, False),
        (_connection(httpx2.ReadTimeout("silent")), "timeout", True, True),
        (_connection(httpx2.RemoteProtocolError("cut")), "connection_lost", True, True),
        (_connection(httpx2.UnsupportedProtocol("foo")), "request_refused", False, False),
        (_connection(ResponseTooLarge()), "response_too_large", False, False),
        (anthropic.AnthropicError("?"), "request_refused", False, False),
    ],
)
def test_each_error_says_whether_to_try_again_and_whether_the_call_may_have_happened(
    error: Any, code: str, *, retryable: bool, uncertain: bool
) -> None:
    """Only what was sent and not answered is uncertain."""
    failure = failure_of(error)
    assert (failure.code, failure.retryable, failure.uncertain) == (code, retryable, uncertain)
    assert failure.message


def test_the_vendor_s_own_words_reach_the_person_who_can_mend_it() -> None:
    """And the words of a 401, which may repeat the key, do not; nor does a gateway's page stand in their way."""
    assert failure_of(_status(400, "invalid_request_error")).message == "So it is"
    assert "So it is" not in failure_of(_status(401, "authentication_error")).message
    page = anthropic.APIStatusError("Error", response=httpx2.Response(502, request=REQUEST), body="<html>")
    assert failure_of(page).message == "The server answered with 502."


def test_limits_are_read_from_the_headers() -> None:
    """Numbers as numbers, moments as they are."""
    headers = {
        "anthropic-ratelimit-requests-remaining": "59",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-01T00:00:00Z",
        "anthropic-ratelimit-other": "1",
    }
    assert rate_limit(headers) == {"remaining_requests": 59, "reset_output_tokens": "2026-11-01T00:00:00Z"}
    assert rate_limit({}) is None


@pytest.mark.parametrize(
    ("raw", "text", "quality", "flags"),
    [
        (_answer(_said("Fine."), _said(" Yes.")), "Fine. Yes.", 1.0, ()),
        (_answer({"type": "thinking", "thinking": "Hm"}, _said("Fine.")), "Fine.", 1.0, ()),
        (_answer(_said("Fine."), {"type": "note_to_self", "text": "Hm"}), "Fine.", 1.0, ()),
        (_answer(_said("Fine"), stop="stop_sequence"), "Fine", 1.0, ()),
        (_answer(_said("Fi"), stop="max_tokens"), "Fi", 0.6, ()),
        (_answer(_said("Fi"), stop="model_context_window_exceeded"), "Fi", 0.6, ()),
        (_answer(_said("Fi"), stop="pause_turn"), "Fi", 0.6, ()),
        (_answer(stop="refusal"), "", 0.1, ("refusal",)),
        (
            _answer(stop="refusal", stop_details={"category": "bio", "explanation": "No."}),
            "No.",
            0.1,
            ("refusal", "bio"),
        ),
        (_answer(_said("I'll look."), _used({"q": 1}, "search"), stop="tool_use"), "I'll look.", 1.0, ()),
    ],
)
def test_quality_and_flags_follow_the_stop_reason(raw: Any, text: str, quality: float, flags: tuple[str, ...]) -> None:
    """By the stated rule; the response fits the schema that it comes with."""
    audit = audit_message(PRICES, {}, raw, as_json=False)
    assert (audit.response["text"], audit.signals.response_quality, audit.signals.safety_flags) == (
        text,
        quality,
        flags,
    )
    assert audit.response["finish_reason"] == raw["stop_reason"]
    assert compile_schema(audit.schema).is_valid(audit.response)


@pytest.mark.parametrize(
    ("content", "stop", "value", "quality"),
    [
        (_used({"a": 1}), "tool_use", {"a": 1}, 1.0),
        (_used({"a": 1}), "max_tokens", {"a": 1}, 0.6),
        (_used({"a": "one"}), "tool_use", {"a": "one"}, 0.2),
        (_said('```json\n{"a": 1}\n```'), "end_turn", {"a": 1}, 1.0),
        (_said("I would say one."), "end_turn", None, 0.0),
        (_said("[" * 100_000), "end_turn", None, 0.0),
    ],
)
def test_json_is_the_tool_s_input_held_against_its_schema(content: Any, stop: str, value: Any, quality: float) -> None:
    """What was written in its place is read where it can be; what does not fit is shown all the same."""
    payload = build(_intent("json", parameters={"schema": SCHEMA}), [])
    audit = audit_message(PRICES, payload, _answer(content, stop=stop), as_json=True)
    assert (audit.response["json"], audit.signals.response_quality) == (value, quality)
    if quality >= 0.6:
        assert compile_schema(audit.schema).is_valid(audit.response)


def test_json_by_the_vendor_s_own_output_format_is_held_against_it_too() -> None:
    """For who asks for it so."""
    payload = {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}
    audit = audit_message(PRICES, payload, _answer(_said('{"a": "one"}')), as_json=True)
    assert audit.signals.response_quality == 0.2


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (_answer(), "empty_response"),
        (_answer(_said(" ")), "empty_response"),
        (_answer({"type": "thinking", "thinking": "Hm"}, stop="max_tokens"), "empty_response"),
        (_answer(7, None), "empty_response"),
        ({}, "malformed_response"),
        ([], "malformed_response"),
        ("text", "malformed_response"),
        ({"content": "text"}, "malformed_response"),
    ],
)
def test_an_answer_with_nothing_in_it_is_a_failure(raw: Any, code: str) -> None:
    """Known to have been made, so not uncertain; made again only if a person wants it."""
    for as_json in (False, True):
        with pytest.raises(ProviderError) as failed:
            audit_message(PRICES, {}, raw, as_json=as_json)
        failure = failed.value.failure
        assert (failure.code, failure.retryable, failure.uncertain) == (code, False, False)


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        ("claude-haiku-4-5-20251001", {"input_tokens": 1000, "output_tokens": 100}, Decimal(1500)),
        (
            "claude-sonnet-5-5",
            {"input_tokens": 10, "output_tokens": 0, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 40},
            10 * 2 + 100 * Decimal("0.1") + 40 * Decimal("2.5"),
        ),
        (
            "claude-sonnet-5-5",
            {
                "input_tokens": 0,
                "output_tokens": 1,
                "cache_creation_input_tokens": 40,
                "cache_creation": {"ephemeral_1h_input_tokens": 30},
            },
            10 * Decimal("2.5") + 30 * 4 + 10,
        ),
        ("claude-haiku-5-5", {"input_tokens": 100_000, "output_tokens": 10}, 100_000 * Decimal("0.1") + 5),
        (
            "claude-haiku-5-5",
            {"input_tokens": 1, "cache_read_input_tokens": 100_000, "output_tokens": 10},
            Decimal("0.5") + 100_000 * Decimal("0.05") + 25,
        ),
        ("unheard-of", {"input_tokens": 1, "output_tokens": 1}, None),
        ("claude-haiku-4-5", {"input_tokens": 1}, None),
        ("claude-haiku-4-5", {"input_tokens": 1, "output_tokens": 1, "speed": "fast"}, None),
        ("claude-haiku-4-5", {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"x": 1}}, None),
    ],
    ids=["dated", "cache", "hour", "short", "long", "unknown model", "no count", "fast", "server tool"],
)
def test_cost_follows_from_usage_and_the_price_table(model: str, usage: Any, cost: Decimal | None) -> None:
    """The cache's tokens at their own prices, a long prompt at its own; None where the table does not say."""
    assert cost_of(PRICES, model, usage) == (None if cost is None else cost / MILLION)


async def test_an_estimate_counts_characters_files_and_the_longest_answer(tmp_path: Path) -> None:
    """So it is what the call may cost at most, by the operator's own prices where there are any."""
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


@pytest.mark.parametrize(
    ("key", "url", "configured"),
    [
        (None, None, False),
        ("sk-ant-test", None, True),
        (None, "http://127.0.0.1:9", True),
        ("sk-\u00e9\u00e9", None, False),
        ("a\nb", None, False),
    ],
)
async def test_without_a_usable_key_or_a_server_it_says_so(
    key: str | None, url: str | None, *, configured: bool
) -> None:
    """It is announced all the same, and a call is refused before it is made."""
    settings = Settings(_env_file=None, anthropic_api_key=key, anthropic_base_url=url)
    provider = AnthropicProvider.from_settings(settings)
    assert (await provider.get_capabilities()).configured is configured
    assert provider.secrets == ((key,) if configured and key else ())
    if not configured:
        with pytest.raises(ProviderError) as refused:
            await provider.execute({}, Call("text", None, 1, "key", MemoryShelves().of("acme")))
        assert refused.value.failure.code == "provider_unconfigured"
    await provider.close()


def test_a_worker_without_a_key_does_not_load_the_sdk() -> None:
    """It takes as much memory as a fifth of the worker."""
    program = (
        "import sys; from chassis.settings import Settings; from provider_worker.providers.anthropic import AnthropicProvider; "
        "AnthropicProvider.from_settings(Settings(_env_file=None)); sys.exit('anthropic' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)  # noqa: S603 - our own words
