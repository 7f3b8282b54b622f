"""The failure that a bad end of an HTTP call is, for every vendor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.errors.failures import error_in, half_heard, of_error, retry_after
from provider_worker.providers.http.reply import parse
from provider_worker.providers.replicate.failures import of_end

from .refusals import refused


@pytest.mark.parametrize(
    ("headers", "told", "seconds"),
    [
        ({"retry-after": "7"}, None, 7.0),
        ({"retry-after-ms": "250", "retry-after": "7"}, None, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, None, 0.0),
        ({"retry-after": "999999"}, None, 3600.0),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "7"}, 3.0, 7.0),
        ({}, 3.0, 3.0),
        ({}, 1e9, 3600.0),
        ({}, None, None),
    ],
)
def test_the_server_says_when_to_come_back(headers: dict[str, str], told: float | None, seconds: float | None) -> None:
    """In seconds, milliseconds or as a date, in its headers before its body; at most an hour."""
    assert retry_after(headers, told) == seconds


def test_a_time_to_wait_that_is_no_number_is_none() -> None:
    """An event cannot hold it."""
    assert retry_after({"retry-after": "nan"}) is None


KINDS: list[tuple[str, int, dict[str, Any], str, bool]] = [
    # kind, status, error, code, retryable
    ("busy", 429, {"message": "upstream is busy"}, "rate_limited", True),
    ("rate limit", 429, {"type": "rate_limit_error", "message": "Slow down"}, "rate_limited", True),
    (
        "rate limit",
        429,
        {"code": "rate_limit_exceeded", "type": "tokens", "message": "Slow down"},
        "rate_limited",
        True,
    ),
    ("rate limit", 429, {"status": "RESOURCE_EXHAUSTED", "message": "Slow down"}, "rate_limited", True),
    ("rate limit", 429, {"type": "RateLimitError", "message": "Slow down"}, "rate_limited", True),
    ("quota", 429, {"code": "insufficient_quota", "message": "No credit"}, "quota_exceeded", False),
    ("quota", 402, {"type": "billing_error", "message": "No credit"}, "quota_exceeded", False),
    ("quota", 402, {"code": "Insufficient Balance", "message": "Insufficient Balance"}, "quota_exceeded", False),
    ("key", 401, {"code": "invalid_api_key", "message": "Bad key"}, "auth_failed", False),
    ("key", 401, {"type": "authentication_error", "message": "Bad key"}, "auth_failed", False),
    ("permission", 403, {"type": "permission_error", "message": "Not yours"}, "forbidden", False),
    ("model", 404, {"code": "model_not_found", "message": "No such model"}, "not_found", False),
    ("model", 404, {"type": "not_found_error", "message": "No such model"}, "not_found", False),
    ("length", 400, {"code": "context_length_exceeded", "message": "Too long"}, "request_refused", False),
    ("request", 400, {"type": "invalid_request_error", "message": "Bad"}, "request_refused", False),
    ("request", 400, {"type": "BadRequestError", "message": "Bad"}, "request_refused", False),
    ("filter", 400, {"code": "content_policy_violation", "message": "No"}, "content_filtered", False),
    ("filter", 400, {"code": "content_filter", "message": "No"}, "content_filtered", False),
    ("overloaded", 529, {"type": "overloaded_error", "message": "Overloaded"}, "provider_error", True),
    ("overloaded", 503, {"code": "service_unavailable", "message": "Later"}, "provider_error", True),
    ("server", 500, {"code": "server_error", "message": "Broken"}, "provider_error", True),
    ("server", 500, {"type": "api_error", "message": "Broken"}, "provider_error", True),
    ("timeout", 504, {"type": "timeout_error", "message": "Took too long"}, "timeout", True),
]
NAMED = [kind for kind in KINDS if kind[0] != "busy"]
NUMBERED = [kind for kind in KINDS if kind[0] != "filter" and kind[:2] != ("quota", 429)]
"""A filter and a used-up quota have no number of their own."""


@pytest.mark.parametrize(("kind", "status", "error", "code", "retryable"), NUMBERED)
def test_a_number_in_an_error_is_a_status(
    kind: str, status: int, error: dict[str, Any], code: str, *, retryable: bool
) -> None:
    """As a number and as digits, in an error of its own, beside it, or deeper."""
    by_status = refused({"error": error}, status)
    assert (by_status.code, by_status.retryable) == (code, retryable), kind
    plain = {"message": error["message"]}
    for number in (status, str(status)):
        for told in (
            {"error": {**plain, "code": number}},
            {"error": {**plain, "status": number}},
            {"error": plain, "status_code": number},
            {"error": {"error": {**plain, "code": number}}},
            {"object": "error", **plain, "code": number},
            {**plain, "code": number},
        ):
            assert error_in(told) is not None
            found = of_error(told)
            assert (found.code, found.retryable, found.uncertain) == (code, retryable, by_status.uncertain), told
            assert error["message"] in found.message


@pytest.mark.parametrize(("kind", "status", "error", "code", "retryable"), NAMED)
@pytest.mark.parametrize("answered", [None, 400, 500, 502])
def test_a_name_in_an_error_says_what_a_vague_status_does_not(
    kind: str, status: int, error: dict[str, Any], code: str, answered: int | None, *, retryable: bool
) -> None:
    """A server in between answers 400, 500 or 502 whatever the vendor said; a body of 200 and an event have no status at all."""
    if code in ("request_refused", "content_filtered") and answered is not None and answered >= 500:
        return  # a server error stays one
    if status == 500 and answered == 400:
        return  # and so does a refusal
    found = of_error({"error": error}) if answered is None else refused({"error": error}, answered)
    assert (found.code, found.retryable) == (code, retryable), kind


@pytest.mark.parametrize(
    ("said", "code", "retryable"),
    [
        ("invalid api key", "auth_failed", False),
        ("Incorrect API key provided", "auth_failed", False),
        ("Unauthorized", "auth_failed", False),
        ("Authentication error", "auth_failed", False),
        ("You have insufficient permissions for this operation.", "forbidden", False),
        ("Access denied", "forbidden", False),
        ("You exceeded your current quota, please check your plan and billing details.", "quota_exceeded", False),
        ("Your credit balance is too low to access the API.", "quota_exceeded", False),
        ("Rate limit reached for requests", "rate_limited", True),
        ("The model `x-1` does not exist", "not_found", False),
        ("This model's maximum context length is 8192 tokens", "request_refused", False),
        ("Your request was rejected by our safety system.", "content_filtered", False),
        ("upstream is busy", "provider_error", True),
        ("Model x is currently loading", "provider_error", True),
    ],
)
def test_an_error_without_a_name_is_read_by_its_words(said: str, code: str, *, retryable: bool) -> None:
    """By few words, which mean the same at every vendor; all else is the server's own trouble."""
    for told in ({"error": said}, {"error": {"message": said}}, {"detail": said}):
        failure = of_error(error_in(told))
        assert (failure.code, failure.retryable) == (code, retryable)
        assert said in failure.message


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"error": {"message": "m", "code": 429, "retry_after": 5}}, 5),
        ({"error": {"message": "m", "code": 429}, "retry_after": "5"}, 5),
        ({"error": {"message": "m", "code": 429, "retry_after_ms": 250}}, 0.25),
        ({"error": {"message": "m", "code": 429, "details": [{"retryDelay": "18.5s"}]}}, 18.5),
        ({"error": "loading", "estimated_time": 20.5}, 20.5),
        ({"error": {"message": "Please try again in 1m2.5s.", "code": 429}}, 62.5),
        ({"error": {"message": "Please retry after 250ms", "code": 429}}, 0.25),
        ({"error": {"message": "Your rate limit resets in ~5s.", "code": 429}}, 5),
        ({"error": {"message": "m", "code": 429, "retry_after": -1}}, 0),
        ({"error": {"message": "m", "code": 429, "retry_after": 1e12}}, 3600),
        ({"error": {"message": "m", "code": 429, "retry_after": "soon"}}, None),
        ({"error": {"message": "retry 3 times", "code": 429}}, None),
    ],
)
def test_the_wait_in_a_body_counts_by_every_road(told: dict[str, Any], seconds: float | None) -> None:
    """As a member in seconds or milliseconds, as a period, or in a sentence."""
    assert of_error(told).retry_after == seconds
    assert refused(told, 429).retry_after == seconds
    assert refused(told, 429, retry_after="7").retry_after == 7


@pytest.mark.parametrize(
    ("status", "said", "retryable"),
    [
        (400, "Timeout while downloading the image. Please retry.", True),
        (422, "The file is not ready yet, please try again later.", True),
        (400, "You can retry your request in a moment.", True),
        (404, "The deployment is not ready. Please try again later.", True),
        (400, "Fix the schema and try again.", False),
        (400, "Please try again with a shorter prompt.", False),
        (400, "Flagged. Please try again with different inputs. (E005)", False),
        (400, "The prompt is too long.", False),
        (401, "Bad key. Please try again.", False),
        (402, "No credit. Please try again later.", False),
        (403, "Not yours. Please retry.", False),
    ],
)
def test_please_retry_of_a_vendor_is_retryable(status: int, said: str, *, retryable: bool) -> None:
    """Not where another request is asked for, and never after a 401, 402 or 403."""
    assert refused({"error": {"message": said}}, status).retryable == retryable


@pytest.mark.parametrize(
    ("reason", "code", "retryable"),
    [
        ("Prediction interrupted; please retry (code: PA)", "prediction_failed", True),
        ("Service is temporarily unavailable. Please try again later. (E004)", "prediction_failed", True),
        ("Service is currently unavailable due to high demand. (E003)", "prediction_failed", True),
        ("E6716: Timeout starting prediction", "prediction_failed", True),
        ("Director: E8765 health check failed", "prediction_failed", True),
        ("E1001: model out of memory", "prediction_failed", False),
        ("CUDA out of memory. Tried to allocate 2 GiB.", "prediction_failed", False),
        ("NSFW content detected. Try running it again, or try a different prompt.", "content_filtered", False),
        ("Flagged as sensitive. Please try again with different inputs. (E005)", "content_filtered", False),
        ("list index out of range", "prediction_failed", False),
        ({"message": "Please retry"}, "prediction_failed", True),
        (None, "prediction_failed", False),
    ],
)
def test_a_failed_prediction_is_tried_again_where_replicate_asks_for_it(
    reason: Any, code: str, *, retryable: bool
) -> None:
    """Its seconds may be paid for: what would fail again is not bought again."""
    failure = of_end({"status": "failed", "error": reason})
    assert failure is not None
    assert (failure.code, failure.retryable, failure.uncertain) == (code, retryable, False)


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"message": {"content": "x"}}], "error": {"message": "odd", "code": 500}},
        {"id": "resp_1", "object": "response", "status": "failed", "error": {"message": "m"}, "output": []},
        {"id": "p1", "status": "failed", "error": "CUDA out of memory", "output": None},
        {"type": "message", "content": [{"type": "text", "text": "x"}]},
        {"label": "x", "score": 0.5},
        {"name": "model", "description": "A model.", "error": None},
        [{"label": "x", "score": 0.5}],
        "text",
        None,
    ],
    ids=str,
)
def test_an_answer_is_no_error(answer: Any) -> None:
    """Whatever stands beside it; a job tells its own end."""
    assert error_in(answer) is None
    assert parse(json.dumps(answer).encode()) == answer


@pytest.mark.parametrize(
    "body",
    [
        {"id": None, "choices": None, "error": {"message": "upstream is busy", "code": 429}},
        {"id": "x", "choices": [], "error": {"message": "upstream is busy", "code": "429"}},
        {"choices": [{"message": {"content": ""}, "error": {"code": 429, "message": "upstream is busy"}}]},
        {"type": "error", "error": {"type": "rate_limit_error", "message": "upstream is busy"}},
        {"object": "error", "message": "upstream is busy", "code": 429},
        {"detail": "upstream is busy", "status": 429},
        {"status": "error", "error": {"message": "upstream is busy", "code": 429}},
        {"errors": [{"message": "upstream is busy", "code": "too_many_requests"}]},
    ],
    ids=str,
)
def test_an_error_in_place_of_an_answer_is_raised(body: Any) -> None:
    """With the header that says when to come back."""
    with pytest.raises(ProviderError) as failed:
        parse(json.dumps(body).encode(), 200, {"retry-after": "7"})
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.retry_after) == ("rate_limited", True, 7)
    assert "upstream is busy" in failure.message


def test_a_refusal_after_the_first_word_counts_as_paid() -> None:
    """It has no status then, by which a budget would take it for a call that cost nothing."""
    failure = half_heard(of_error({"error": {"code": "content_filter", "message": "No"}}))
    assert (failure.code, failure.retryable, failure.status) == ("content_filtered", False, None)
    assert "paid for" in failure.message
