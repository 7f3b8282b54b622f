"""What HuggingFace's answers amount to: errors, text, JSON, images, labels, cost."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub.errors import InferenceTimeoutError

from chassis.settings import Settings
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.errors.failures import ResponseTooLarge
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.huggingface.failures import Refused, failure_of
from provider_worker.providers.huggingface.payloads import build
from provider_worker.providers.huggingface.responses import (
    audit_classification,
    audit_completion,
    audit_image,
    keep_image,
)
from provider_worker.providers.payload_schema import CompiledSchema
from provider_worker.providers.pricing import PriceTable
from provider_worker.testing.memory import MemoryArtifacts

from .vendor_messages import a_completion, an_intent

KEY = "hf_test_very_secret_token"
FREE = PriceTable({}, "")


def _refused(status: int, body: Any = None, **headers: str) -> Refused:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
    return Refused(httpx2.Response(status, request=request, content=content, headers=named))


def _timeout(cause: Exception) -> InferenceTimeoutError:
    error = InferenceTimeoutError("Inference call timed out")
    error.__cause__ = cause
    return error


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
    """Only a call that was sent and not answered is uncertain."""
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
    ("body", "said"),
    [
        (b"", "The server answered with 500."),
        (b"<html>", "<html>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * 100_000, "["),
        ([], "The server answered with 500."),
        ("text", "text"),
        (7, "7"),
        ({"error": None}, "The server answered with 500."),
        ({"error": {"message": [], "code": [], "type": {}}, "error_type": []}, "The server answered with 500."),
        ({"error": [[]], "estimated_time": "soon"}, "The server answered with 500."),
    ],
    ids=lambda given: repr(given)[:40],
)
def test_no_body_of_a_refusal_hides_it(body: Any, said: str) -> None:
    """A gateway's page, half a JSON, or none: the status counts, and what was said is shown."""
    failure = failure_of(_refused(500, body))
    assert (failure.code, failure.retryable, failure.retry_after) == ("provider_error", True, None)
    assert failure.message.startswith(said)
    assert len(failure.message) <= 600


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


async def test_an_image_is_kept_by_what_its_bytes_are() -> None:
    """The server's declared type is not believed: a browser would believe it."""
    artifacts = MemoryArtifacts().of("acme")
    raw = await keep_image(b"\xff\xd8\xff...", {"content-type": "text/html"}, artifacts)
    found = await artifacts.find(raw["image"])
    assert found is not None
    assert found.media_type == "image/jpeg"
    assert audit_image(raw).response == {"images": [raw["image"]]}
    for body, code in (
        (b"<svg>", "malformed_response"),
        (b"RIFF0000WAVE", "malformed_response"),
        (b"", "empty_response"),
    ):
        with pytest.raises(ProviderError) as failed:
            await keep_image(body, {"content-type": "image/png"}, artifacts)
        assert failed.value.failure.code == code


@pytest.mark.parametrize(
    ("finish", "quality"), [("stop", 1.0), ("eos_token", 1.0), ("stop_sequence", 1.0), ("length", 0.6)]
)
def test_quality_follows_the_finish_reason(finish: str, quality: float) -> None:
    """In OpenAI's words and in those of Text Generation Inference."""
    audit = audit_completion(FREE, {"model": "m"}, a_completion(finish=finish), as_json=False)
    assert (audit.response["text"], audit.signals.response_quality) == ("Fine.", quality)
    assert CompiledSchema(audit.schema).is_valid(audit.response)


@pytest.mark.parametrize("raw", [{}, [], "text", None, {"choices": []}, {"choices": [[]]}])
def test_a_chat_with_nothing_in_it_is_a_failure(raw: Any) -> None:
    """Known to have been made, so not uncertain."""
    with pytest.raises(ProviderError) as failed:
        audit_completion(FREE, {}, raw, as_json=False)
    assert (failed.value.failure.code, failed.value.failure.uncertain) == ("malformed_response", False)


@pytest.mark.parametrize("is_router", [True, False])
def test_json_is_held_against_its_schema_in_either_form(*, is_router: bool) -> None:
    """A misfit is shown all the same, with its quality."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    payload = build(
        an_intent("huggingface", "acme/tiny", "json", parameters={"schema": schema}), [], is_router=is_router
    )
    audits = [audit_completion(FREE, payload, a_completion(said), as_json=True) for said in ('{"a": 1}', '{"a": "x"}')]
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
    assert CompiledSchema(audit.schema).is_valid(audit.response)


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
    """HuggingFace charges the price of the server behind it, or by the second."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"huggingface": {"acme/tiny": {"input": "1", "output": "2"}}}')
    settings = Settings(_env_file=None, hf_token=KEY, prices=prices)
    priced, plain = HuggingFaceProvider.from_settings(settings), HuggingFaceProvider(KEY, None)
    intent = an_intent("huggingface", "acme/tiny", prompt="x" * 4000, parameters={"max_tokens": 100})
    payload = build(intent, [], is_router=True)
    estimates = [await provider.estimate_cost("text", payload) for provider in (priced, plain)]
    assert estimates == [(1001 * Decimal(1) + 100 * Decimal(2)) / 1_000_000, None]
    audits = [
        await provider.audit_response("text", payload, a_completion(model="acme/tiny")) for provider in (priced, plain)
    ]
    assert [audit.cost for audit in audits] == [Decimal(1200) / 1_000_000, None]
    assert (
        await priced.estimate_cost("image", build(an_intent("huggingface", "acme/tiny", "image"), [], is_router=True))
        is None
    )
    await priced.close()
    await plain.close()
