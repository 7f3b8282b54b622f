"""The OpenAI provider without a server: payloads, prices, errors, audits, rules."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest

from chassis.settings import Settings
from contracts.work import CallIntent, Severity
from provider_worker.fakes.memory import MemoryShelves
from provider_worker.providers.base import Attachment, Call, ProviderError
from provider_worker.providers.http.failures import ResponseTooLarge, retry_after
from provider_worker.providers.openai import OpenAIProvider, prices
from provider_worker.providers.openai.auditing import audit_chat, audit_images
from provider_worker.providers.openai.connection import rate_limit
from provider_worker.providers.openai.errors import failure_of
from provider_worker.providers.openai.files import with_files, without_files
from provider_worker.providers.openai.payloads import build, is_strict
from provider_worker.providers.openai.rules import reasoning_issues
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.validation import compile_schema

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")

PRICES = PriceTable.of("provider_worker.providers.openai")


def _intent(operation: str = "text", **given: Any) -> CallIntent:
    return CallIntent(**{"provider": "openai", "model": "fake-1", "operation": operation, "prompt": "Hello", **given})


def _status(status: int, body: dict[str, Any] | None = None, **headers: str) -> openai.APIStatusError:
    response = httpx2.Response(
        status, request=REQUEST, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    kinds: dict[int, type[openai.APIStatusError]] = {429: openai.RateLimitError, 401: openai.AuthenticationError}
    return kinds.get(status, openai.APIStatusError)("Error", response=response, body=body)


def _connection(cause: BaseException) -> openai.APIConnectionError:
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = cause
    return error


def _chat(content: Any = "Fine.", finish: str = "stop", **message: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 200}}
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return {"model": "gpt-5.4-mini-2026-03-17", "choices": [choice], "usage": usage}


def test_a_text_payload_is_the_body_that_is_sent() -> None:
    """Parameters are its members, `system` and `messages` come before the prompt, and the intent's model wins."""
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    parameters = {"temperature": 0.2, "system": "Be brief.", "messages": history, "model": "other", "top_k": 4}
    assert build(_intent(parameters=parameters), []) == {
        "model": "fake-1",
        "messages": [{"role": "system", "content": "Be brief."}, *history, {"role": "user", "content": "Hello"}],
        "temperature": 0.2,
        "top_k": 4,
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
    ]
    payload = build(_intent(), attachments)
    parts = payload["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "file", "text", "image_url"]
    assert image in str(parts)
    sent = (await with_files(payload, shelves))["messages"][0]["content"]
    assert sent[1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="
    assert sent[2]["file"]["file_data"] == "data:application/pdf;base64,JVBERg=="
    assert sent[3]["text"] == "words"
    assert sent[4]["image_url"]["url"] == "https://example.com/cat.png"
    assert payload["messages"][0]["content"] == parts


async def test_a_file_that_is_gone_stops_the_call() -> None:
    """Before anything is sent."""
    payload = build(_intent(), [Attachment("artifact:sha256:" + "0" * 64, "image/png", 1)])
    with pytest.raises(ProviderError) as refused:
        await with_files(payload, MemoryShelves().of("acme"))
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


async def test_images_in_an_answer_become_artifacts() -> None:
    """Their bytes never travel in events."""
    shelves = MemoryShelves().of("acme")
    raw = await without_files({"data": [{"b64_json": "iVBORw=="}, {"url": "https://example.com/x"}]}, shelves)
    ref = raw["data"][0]["b64_json"]
    found = await shelves.find(ref)
    assert found is not None
    assert found.media_type == "image/png"
    assert audit_images(PRICES, {"model": "m"}, raw).response == {"images": [ref, "https://example.com/x"]}
    with pytest.raises(ProviderError):
        await without_files({"data": [{"b64_json": "!"}]}, shelves)


@pytest.mark.parametrize(
    ("error", "code", "retryable", "uncertain"),
    [
        (_status(429), "rate_limited", True, False),
        (_status(429, {"code": "insufficient_quota", "message": "No money"}), "quota_exceeded", False, False),
        (_status(500), "provider_error", True, False),
        (_status(503), "provider_error", True, False),
        (_status(409), "provider_error", True, False),
        (_status(504), "timeout", True, True),
        (_status(401), "auth_failed", False, False),
        (_status(403), "forbidden", False, False),
        (_status(400, {"message": "Bad temperature"}), "request_refused", False, False),
        (_status(400, {"code": "content_policy_violation", "message": "No"}), "content_filtered", False, False),
        (_status(404), "not_found", False, False),
        (_status(422), "request_refused", False, False),
        (_connection(httpx2.ConnectError("refused")), "connection_failed", True, False),
        (_connection(httpx2.ConnectTimeout("slow")), "connection_failed", True, False),
        (_connection(httpx2.PoolTimeout("busy")), "connection_failed", True, False),
        (_connection(httpx2.ReadTimeout("silent")), "timeout", True, True),
        (_connection(httpx2.WriteTimeout("stuck")), "timeout", True, True),
        (_connection(httpx2.ReadError("reset")), "connection_lost", True, True),
        (_connection(httpx2.RemoteProtocolError("cut")), "connection_lost", True, True),
        (_connection(httpx2.UnsupportedProtocol("foo")), "request_refused", False, False),
        (_connection(httpx2.LocalProtocolError("Illegal header value")), "request_refused", False, False),
        (ResponseTooLarge(), "response_too_large", False, False),
        (openai.OpenAIError("?"), "request_refused", False, False),
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
    """And the words of a 401, which repeat the key, do not."""
    assert failure_of(_status(400, {"message": "Bad temperature"})).message == "Bad temperature"
    said = failure_of(_status(401, {"message": "Incorrect API key provided: sk-abc"})).message
    assert "sk-abc" not in said


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_server_says_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    """In seconds, milliseconds or as a date; at most an hour."""
    assert retry_after(headers) == seconds


def test_limits_are_read_from_the_headers() -> None:
    """Numbers as numbers, durations as they are."""
    headers = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-tokens": "6m0s", "x-other": "1"}
    assert rate_limit(headers) == {"remaining_requests": 59, "reset_tokens": "6m0s"}
    assert rate_limit({}) is None


@pytest.mark.parametrize(
    ("raw", "quality", "flags"),
    [
        (_chat(), 1.0, ()),
        (_chat(finish="length"), 0.6, ()),
        (_chat(finish="content_filter"), 0.3, ("content_filter",)),
        (_chat(None, refusal="I will not."), 0.1, ()),
        (_chat([{"type": "text", "text": "Fine."}]), 1.0, ()),
        (_chat(None, "tool_calls", tool_calls=[{"id": "1"}]), 1.0, ()),
    ],
)
def test_quality_and_flags_follow_the_finish_reason(raw: Any, quality: float, flags: tuple[str, ...]) -> None:
    """By the stated rule; the response fits the schema that it comes with."""
    audit = audit_chat(PRICES, {"model": "m"}, raw, as_json=False)
    assert (audit.signals.response_quality, audit.signals.safety_flags) == (quality, flags)
    assert compile_schema(audit.schema).is_valid(audit.response)


def test_the_content_filter_s_words_become_ours() -> None:
    """`sexual` is `nsfw`, protected material `copyright`; what is harmless is no flag."""
    raw = _chat()
    raw["choices"][0]["content_filter_results"] = {
        "sexual": {"filtered": False, "severity": "medium"},
        "violence": {"filtered": False, "severity": "safe"},
        "protected_material_text": {"detected": True, "filtered": False},
    }
    raw["prompt_filter_results"] = [{"content_filter_results": {"hate": {"filtered": True, "severity": "high"}}}]
    assert set(audit_chat(PRICES, {}, raw, as_json=False).signals.safety_flags) == {"nsfw", "copyright", "hate"}


@pytest.mark.parametrize(
    ("content", "value", "quality"),
    [
        ('{"a": 1}', {"a": 1}, 1.0),
        ('```json\n{"a": 1}\n```', {"a": 1}, 1.0),
        ('{"a": "one"}', {"a": "one"}, 0.2),
        ('{"a": ', None, 0.0),
        ("[" * 100_000, None, 0.0),
    ],
)
def test_json_is_taken_out_of_the_text_and_held_against_its_schema(content: str, value: Any, quality: float) -> None:
    """What does not fit is shown all the same, with the quality it has."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    payload = {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}
    audit = audit_chat(PRICES, payload, _chat(content), as_json=True)
    assert audit.response["json"] == value
    assert audit.signals.response_quality == quality
    if quality == 1.0:
        assert compile_schema(audit.schema).is_valid(audit.response)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (_chat(""), "empty_response"),
        (_chat(None, "length"), "empty_response"),
        (_chat("", "content_filter"), "content_filtered"),
        ({"choices": []}, "malformed_response"),
        ({}, "malformed_response"),
        ([], "malformed_response"),
        ("text", "malformed_response"),
        ({"choices": {"0": 1}}, "malformed_response"),
    ],
)
def test_an_answer_with_nothing_in_it_is_a_failure(raw: Any, code: str) -> None:
    """Known to have been made, so not uncertain; made again only if a person wants it."""
    with pytest.raises(ProviderError) as failed:
        audit_chat(PRICES, {}, raw, as_json=False)
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == (code, False, False)


def test_confidence_is_the_mean_probability_where_the_server_tells_it() -> None:
    """Otherwise it is not measured."""
    raw = _chat()
    assert audit_chat(PRICES, {}, raw, as_json=False).signals.confidence is None
    raw["choices"][0]["logprobs"] = {"content": [{"logprob": -0.1}, {"logprob": -0.3}]}
    assert audit_chat(PRICES, {}, raw, as_json=False).signals.confidence == pytest.approx(0.8187, abs=1e-4)


def test_cost_follows_from_usage_and_the_price_table() -> None:
    """Cached tokens at their own price, dated snapshots at their model's, unknown models at none."""
    cost = audit_chat(PRICES, {}, _chat(), as_json=False).cost
    assert cost == (Decimal(800) * Decimal("0.75") + 200 * Decimal("0.075") + 100 * Decimal("4.50")) / 1_000_000
    assert prices.cost_of(PRICES, "llama-local", {"prompt_tokens": 1, "completion_tokens": 1}) is None
    assert prices.cost_of(PRICES, "gpt-5.4-mini", {}) is None
    usage = {
        "input_tokens": 100,
        "output_tokens": 1000,
        "input_tokens_details": {"text_tokens": 60, "image_tokens": 40},
    }
    assert prices.cost_of(PRICES, "gpt-image-2", usage) == (60 * 5 + 40 * 8 + 1000 * 30) / Decimal(1_000_000)


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


async def test_streaming_is_switched_off_by_a_mend() -> None:
    """The answer is waited for as a whole."""
    (issue,) = await OpenAIProvider("sk-test-key", None).validate_payload(
        "text", build(_intent(parameters={"stream": True}), [])
    )
    assert issue.suggested_fix == {"stream": False}


@pytest.mark.parametrize(
    ("key", "url", "configured"),
    [
        (None, None, False),
        ("sk-test-key", None, True),
        (None, "http://127.0.0.1:9/v1", True),
        ("sk-\u00e9\u00e9\u00e9\u00e9", None, False),
        ("a\nb", None, False),
    ],
)
async def test_without_a_usable_key_or_a_server_it_says_so(
    key: str | None, url: str | None, *, configured: bool
) -> None:
    """It is announced all the same, and a call is refused before it is made."""
    settings = Settings(_env_file=None, openai_api_key=key, openai_base_url=url)
    provider = OpenAIProvider.from_settings(settings)
    assert (await provider.get_capabilities()).configured is configured
    if not configured:
        with pytest.raises(ProviderError) as refused:
            await provider.execute({}, Call("text", None, 1, "key", MemoryShelves().of("acme")))
        assert refused.value.failure.code == "provider_unconfigured"
    await provider.close()


def test_a_worker_without_a_key_does_not_load_the_sdk() -> None:
    """It takes as much memory as a fifth of the worker."""
    program = (
        "import sys; from chassis.settings import Settings; from provider_worker.providers.registry import load_providers; "
        "names = load_providers(Settings(_env_file=None)).names; assert 'openai' in names, names; "
        "sys.exit('openai' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)  # noqa: S603 - our own words
