"""The HuggingFace provider without a server: payloads, rules, errors, audits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub.errors import InferenceTimeoutError

from chassis.settings import Settings
from contracts.work import CallIntent, Severity
from provider_worker.fakes.memory import MemoryShelves
from provider_worker.preparing import settle
from provider_worker.providers.base import Attachment, Call, ProviderError
from provider_worker.providers.http.failures import ResponseTooLarge, retry_after
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.huggingface.addresses import ROUTER, Addresses
from provider_worker.providers.huggingface.auditing import audit_classification, audit_completion, audit_image
from provider_worker.providers.huggingface.errors import Refused, failure_of
from provider_worker.providers.huggingface.files import keep_image
from provider_worker.providers.huggingface.payloads import build
from provider_worker.providers.huggingface.rules import CLASSIFIER, ZERO_SHOT
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.registry import Registry
from provider_worker.providers.validation import compile_schema

KEY = "hf_test_very_secret_token"
ELSEWHERE = "http://127.0.0.1:9"
FREE = PriceTable({}, "")


def _intent(operation: str = "text", **given: Any) -> CallIntent:
    said = {"provider": "huggingface", "model": "acme/tiny", "operation": operation, "prompt": "Hello"}
    return CallIntent(**{**said, **given})


def _build(operation: str = "text", *attachments: Attachment, **given: Any) -> dict[str, Any]:
    return build(_intent(operation, **given), attachments, is_router=True)


def _refused(status: int, body: Any = None, **headers: str) -> Refused:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Refused(httpx2.Response(status, content=content, headers=named))


def _timeout(cause: Exception) -> InferenceTimeoutError:
    error = InferenceTimeoutError("Inference call timed out")
    error.__cause__ = cause
    return error


def _chat(content: Any = "Fine.", finish: str = "stop") -> dict[str, Any]:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    return {
        "model": "acme/tiny",
        "choices": [{"message": {"content": content}, "finish_reason": finish}],
        "usage": usage,
    }


def test_a_text_payload_is_the_body_that_is_sent() -> None:
    """Parameters are its members, `system` and `messages` come before the prompt, and the intent's model wins."""
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]
    parameters = {"temperature": 0.2, "system": "Be brief.", "messages": history, "model": "other", "top_k": 4}
    assert _build(parameters=parameters) == {
        "model": "acme/tiny",
        "messages": [{"role": "system", "content": "Be brief."}, *history, {"role": "user", "content": "Hello"}],
        "temperature": 0.2,
        "top_k": 4,
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
        ("text", {"stream": True}, "/stream", {"stream": False}),
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
    ("error", "code", "retryable", "uncertain"),
    [
        (_refused(401, {"error": "Invalid credentials"}), "auth_failed", False, False),
        (_refused(402, {"error": "You have exceeded your credits."}), "quota_exceeded", False, False),
        (_refused(403, {"error": "No permission"}), "forbidden", False, False),
        (_refused(404, {"error": "Model x does not exist"}), "not_found", False, False),
        (_refused(413), "request_refused", False, False),
        (_refused(422, {"error": "Input validation error", "error_type": "validation"}), "request_refused", False, False),
        (_refused(424, {"error": "Request failed", "error_type": "generation"}), "provider_error", True, False),
        (_refused(429, {"error": "Model is overloaded", "error_type": "overloaded"}), "rate_limited", True, False),
        (_refused(400, {"error": {"code": "content_filter", "message": "No"}}), "content_filtered", False, False),
        (_refused(500), "provider_error", True, False),
        (_refused(503, {"error": "Model x is currently loading"}), "provider_error", True, False),
        (_refused(504), "timeout", True, True),
        (_refused(302), "request_refused", False, False),
        (_timeout(httpx2.ConnectTimeout("slow")), "connection_failed", True, False),
        (_timeout(httpx2.PoolTimeout("busy")), "connection_failed", True, False),
        (_timeout(httpx2.ReadTimeout("silent")), "timeout", True, True),
        (_timeout(httpx2.WriteTimeout("stuck")), "timeout", True, True),
        (httpx2.ConnectError("refused"), "connection_failed", True, False),
        (httpx2.ReadError("reset"), "connection_lost", True, True),
        (httpx2.RemoteProtocolError("cut"), "connection_lost", True, True),
        (httpx2.UnsupportedProtocol("foo"), "request_refused", False, False),
        (httpx2.InvalidURL("foo"), "request_refused", False, False),
        (ResponseTooLarge(), "response_too_large", False, False),
    ],
)  # fmt: skip
def test_each_error_says_whether_to_try_again_and_whether_the_call_may_have_happened(
    error: Any, code: str, *, retryable: bool, uncertain: bool
) -> None:
    """Only what was sent and not answered is uncertain."""
    failure = failure_of(error)
    assert (failure.code, failure.retryable, failure.uncertain) == (code, retryable, uncertain)
    assert failure.message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "Bad input"}, "Bad input"),
        ({"error": ["Bad input", "Bad label", 3]}, "Bad input; Bad label"),
        ({"error": {"message": "Bad model", "code": "model_not_supported"}}, "Bad model"),
    ],
)
def test_the_vendor_s_own_words_reach_the_person_who_can_mend_it(body: Any, said: str) -> None:
    """In each of the forms that HuggingFace, its router and its server write them."""
    assert failure_of(_refused(400, body)).message == said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        "text",
        7,
        {"error": None},
        {"error": {"message": [], "code": [], "type": {}}, "error_type": []},
        {"error": [[]], "estimated_time": "soon"},
    ],
    ids=repr,
)
def test_no_body_of_a_refusal_hides_it(body: Any) -> None:
    """A gateway's page, half a JSON, or none: the status says enough."""
    failure = failure_of(_refused(500, body))
    assert (failure.code, failure.retryable, failure.retry_after) == ("provider_error", True, None)
    assert failure.message == "The server answered with 500."


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (_refused(503, {"error": "loading", "estimated_time": 20.5}), 20.5),
        (_refused(503, {"error": "loading", "estimated_time": 20.5}, retry_after="3"), 3),
        (_refused(503, {"error": "loading", "estimated_time": -1}), 0),
        (_refused(503, {"error": "loading", "estimated_time": 1e9}), 3600),
        (_refused(503, b'{"error": "loading", "estimated_time": NaN}'), None),
        (_refused(429, {"error": "limit"}, ratelimit='"api";r=0;t=55'), 55),
        (_refused(429, {"error": "limit"}, ratelimit='"api";r=9;t=55'), None),
    ],
)
def test_the_server_says_when_to_come_back(error: Refused, seconds: float | None) -> None:
    """By the time a model takes to load, or by its limits once they are used up; `Retry-After` goes before."""
    assert failure_of(error).retry_after == seconds


def test_a_time_to_wait_that_is_no_number_is_none() -> None:
    """An event cannot hold it."""
    assert retry_after({"retry-after": "nan"}) is None


async def test_an_image_is_kept_by_what_its_bytes_are() -> None:
    """What the server declares is not believed: a browser would."""
    shelves = MemoryShelves().of("acme")
    raw = await keep_image(b"\xff\xd8\xff...", {"content-type": "text/html"}, shelves)
    found = await shelves.find(raw["image"])
    assert found is not None
    assert found.media_type == "image/jpeg"
    assert audit_image(raw).response == {"images": [raw["image"]]}
    for body, code in (
        (b"<svg>", "malformed_response"),
        (b"RIFF0000WAVE", "malformed_response"),
        (b"", "empty_response"),
    ):
        with pytest.raises(ProviderError) as failed:
            await keep_image(body, {"content-type": "image/png"}, shelves)
        assert failed.value.failure.code == code


@pytest.mark.parametrize(
    ("finish", "quality"), [("stop", 1.0), ("eos_token", 1.0), ("stop_sequence", 1.0), ("length", 0.6)]
)
def test_quality_follows_the_finish_reason(finish: str, quality: float) -> None:
    """In OpenAI's words and in those of Text Generation Inference."""
    audit = audit_completion(FREE, {"model": "m"}, _chat(finish=finish), as_json=False)
    assert (audit.response["text"], audit.signals.response_quality) == ("Fine.", quality)
    assert compile_schema(audit.schema).is_valid(audit.response)


@pytest.mark.parametrize("raw", [{}, [], "text", None, {"choices": []}, {"choices": [[]]}])
def test_a_chat_with_nothing_in_it_is_a_failure(raw: Any) -> None:
    """Known to have been made, so not uncertain."""
    with pytest.raises(ProviderError) as failed:
        audit_completion(FREE, {}, raw, as_json=False)
    assert (failed.value.failure.code, failed.value.failure.uncertain) == ("malformed_response", False)


@pytest.mark.parametrize("is_router", [True, False])
def test_json_is_held_against_its_schema_in_either_form(*, is_router: bool) -> None:
    """What does not fit is shown all the same, with the quality it has."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    payload = build(_intent("json", parameters={"schema": schema}), [], is_router=is_router)
    audits = [audit_completion(FREE, payload, _chat(said), as_json=True) for said in ('{"a": 1}', '{"a": "x"}')]
    assert [audit.response["json"] for audit in audits] == [{"a": 1}, {"a": "x"}]
    assert [audit.signals.response_quality for audit in audits] == [1.0, 0.2]


BEST_FIRST = [{"label": "good", "score": 0.9}, {"label": "bad", "score": 0.1}]


@pytest.mark.parametrize(
    "raw",
    [
        BEST_FIRST,
        [BEST_FIRST],
        BEST_FIRST[::-1],
        {"sequence": "Hello", "labels": ["bad", "good"], "scores": [0.1, 0.9]},
        [*BEST_FIRST, {"label": "odd"}, {"label": "odd", "score": True}, 7],
    ],
    ids=["a list", "a list for each input", "in any order", "the older form", "with odd ones"],
)
def test_labels_are_read_in_every_form_best_first(raw: Any) -> None:
    """The best one's score is the confidence."""
    audit = audit_classification(raw)
    assert audit.response == {"label": "good", "labels": BEST_FIRST}
    assert (audit.signals.confidence, audit.signals.response_quality) == (0.9, 1.0)
    assert compile_schema(audit.schema).is_valid(audit.response)


def test_a_score_that_is_no_probability_is_no_confidence() -> None:
    """`function_to_apply: none` gives raw scores; and where no label has half of it, none fits."""
    raw_scores = audit_classification([{"label": "good", "score": 4.2}])
    assert (raw_scores.signals.confidence, raw_scores.signals.response_quality) == (None, 1.0)
    doubtful = audit_classification([{"label": "good", "score": 0.4}])
    assert (doubtful.signals.confidence, doubtful.signals.response_quality) == (0.4, 0.3)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ([], "empty_response"),
        ([[]], "empty_response"),
        ({}, "malformed_response"),
        ("text", "malformed_response"),
        ([{"label": 1, "score": 1}], "malformed_response"),
        ([{"label": "x", "score": float("nan")}], "malformed_response"),
        ({"labels": ["x"], "scores": "1"}, "malformed_response"),
        (json.loads("[" * 500 + "]" * 500), "malformed_response"),
    ],
)
def test_an_answer_without_labels_is_a_failure(raw: Any, code: str) -> None:
    """Known to have been made, so not uncertain."""
    with pytest.raises(ProviderError) as failed:
        audit_classification(raw)
    assert (failed.value.failure.code, failed.value.failure.uncertain) == (code, False)


async def test_cost_is_known_by_the_operator_s_own_prices_alone(tmp_path: Path) -> None:
    """HuggingFace charges what the server behind it charges, or by the second."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"huggingface": {"acme/tiny": {"input": "1", "output": "2"}}}')
    settings = Settings(_env_file=None, hf_token=KEY, prices=prices)
    priced, plain = HuggingFaceProvider.from_settings(settings), HuggingFaceProvider(KEY, None)
    payload = _build(prompt="x" * 4000, parameters={"max_tokens": 100})
    estimates = [await provider.estimate_cost("text", payload) for provider in (priced, plain)]
    assert estimates == [(1001 * Decimal(1) + 100 * Decimal(2)) / 1_000_000, None]
    audits = [await provider.audit_response("text", payload, _chat()) for provider in (priced, plain)]
    assert [audit.cost for audit in audits] == [Decimal(1200) / 1_000_000, None]
    assert await priced.estimate_cost("image", _build("image")) is None
    await priced.close()
    await plain.close()


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
    """Whatever the case; any other model is passed on."""
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


@pytest.mark.parametrize(
    ("key", "url", "configured"),
    [
        (None, None, False),
        (KEY, None, True),
        (None, ELSEWHERE, True),
        ("hf_\u00e9\u00e9\u00e9\u00e9", None, False),
        ("a\nb", None, False),
    ],
)
async def test_without_a_usable_token_or_a_server_it_says_so(
    key: str | None, url: str | None, *, configured: bool
) -> None:
    """It is announced all the same, and a call is refused before it is made."""
    provider = HuggingFaceProvider.from_settings(Settings(_env_file=None, hf_token=key, hf_base_url=url))
    assert (await provider.get_capabilities()).configured is configured
    assert provider.secrets == ((key,) if key == KEY else ())
    if not configured:
        with pytest.raises(ProviderError) as refused:
            await provider.execute({}, Call("text", None, 1, "key", MemoryShelves().of("acme")))
        assert refused.value.failure.code == "provider_unconfigured"
    await provider.close()


def test_a_worker_without_a_token_does_not_load_the_sdk() -> None:
    """It takes 20 MB and 0.4 s of CPU."""
    program = (
        "import sys; from importlib.metadata import EntryPoint; from chassis.settings import Settings; "
        "from provider_worker.providers.registry import GROUP, load_providers; "
        "entry = EntryPoint('huggingface', 'provider_worker.providers.huggingface:HuggingFaceProvider', GROUP); "
        "names = load_providers(Settings(_env_file=None), [entry]).names; assert names == ['huggingface'], names; "
        "sys.exit('huggingface_hub' in sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)  # noqa: S603 - our own words
