"""The reason of a refusal: it is shown whatever its shape, without keys, and names a member of the payload that was refused."""

from __future__ import annotations

from typing import Any

import pytest

from provider_worker.execution.refused_members import naming_members
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.reply import parse

from .refusals import KEY, refused

REASON = "the model is on holiday"

SHAPES: list[Any] = [
    {"error": {"message": REASON, "type": "invalid_request_error", "param": None, "code": None}},
    {"error": {"error": {"message": REASON}}},
    {"error": REASON},
    {"error": [REASON, "and more"]},
    {"message": REASON},
    {"detail": REASON},
    {"detail": [{"loc": ["body", "messages", 0], "msg": REASON, "type": "value_error"}]},
    {"detail": {"reason": REASON}},
    {"errors": [{"message": REASON}, {"message": "and more"}]},
    {"errors": {"prompt": [REASON]}},
    {"error_description": REASON, "error": "invalid_request"},
    {"title": "Unprocessable", "status": 422, "detail": REASON},
    {"title": REASON},
    {"fault": {"faultstring": REASON, "detail": {"errorcode": "x.y"}}},
    {"status": "failed", "note": REASON},
    {"a": {"b": {"c": REASON}}},
    [REASON],
    [{"error": {"code": 400, "message": REASON, "status": "INVALID_ARGUMENT"}}],
    REASON,
    REASON.encode(),
    f"\n  {REASON}\n".encode(),
    f"<!doctype html><html><head><title>Sorry</title><style>b {{}}</style></head><body><b>{REASON}</b></body></html>".encode(),
    f"<html><head><title>{REASON}</title></head></html>".encode(),
    f"<Error><Code>X</Code><Message>{REASON}</Message></Error>".encode(),
    f'{{"error": "{REASON}'.encode(),
    REASON.encode() + b" \xff",
]


@pytest.mark.parametrize("body", SHAPES, ids=lambda body: str(body)[:60])
def test_a_refusal_s_reason_is_shown_whatever_its_shape(body: Any) -> None:
    """JSON of any shape, a page, or plain text."""
    failure = refused(body)
    assert (failure.code, failure.retryable) == ("request_refused", False)
    assert REASON in failure.message


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422, 429, 500, 503, 504])
def test_a_refusal_s_reason_is_shown_with_every_status(status: int) -> None:
    """None of our own sentences stands in its place."""
    assert REASON in refused({"detail": REASON}, status).message


def test_a_long_body_is_shown_by_its_beginning() -> None:
    """The first 600 characters, and no half of a word: a half of a key would not be known for one."""
    said = refused(("word " * 300).encode()).message
    assert 590 <= len(said) <= 600
    assert said.endswith("word…")
    secret = "s" * 100
    assert "sss" not in refused({"error": "word " * 115 + secret}).message


def test_no_refusal_shows_a_key() -> None:
    """Neither the request's own, however short it is, nor one that the server masks."""
    for said in (f"Bad token: {KEY}", "Bad key sk-proj-abcdef", "Bad key abc***xyz"):
        message = refused({"error": {"message": said}}, 401).message
        assert message.startswith("The server does not accept the worker's key. Bad ")
        assert message.endswith(" [hidden]")


def test_an_answer_that_is_no_json_shows_its_beginning() -> None:
    """A page of a gateway in front of a server says why."""
    with pytest.raises(ProviderError) as failed:
        parse(f"<html><h1>{REASON}</h1></html>".encode(), 200)
    assert failed.value.failure.code == "malformed_response"
    assert REASON in failed.value.failure.message


PAYLOAD = {
    "model": "m",
    "messages": [],
    "stream": True,
    "stream_options": {"include_usage": True},
    "stop": ["x"],
    "input": {"seed": "x", "num_steps": 3},
}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"detail": [{"loc": ["body", "stream_options"], "msg": "extra inputs are not permitted"}]}, "/stream_options"),
        (b"stream_options: Extra inputs are not permitted", "/stream_options"),
        ({"error": {"message": "Unsupported parameter", "param": "stream_options"}}, "/stream_options"),
        ({"error": {"message": "Unrecognized request argument supplied: stream_options"}}, "/stream_options"),
        ({"error": {"message": "property 'stream_options' is unsupported"}}, "/stream_options"),
        ({"error": 'json: unknown field "stream_options"'}, "/stream_options"),
        ({"error": "unexpected keyword argument 'stream_options'"}, "/stream_options"),
        ({"error": "Additional properties are not allowed ('stream_options' was unexpected)"}, "/stream_options"),
        ({"error": "`stream` is not supported by this model"}, "/stream"),
        ({"error": {"message": "Unknown parameter: 'stream_options.include_usage'."}}, "/stream_options/include_usage"),
        ({"error": "stop: Extra inputs are not permitted"}, "/stop"),
        (
            {"detail": "Invalid", "invalid_fields": [{"field": "input.seed", "description": "Unknown field"}]},
            "/input/seed",
        ),
        ({"error": "num_steps is not a valid field"}, "/input/num_steps"),
    ],
    ids=lambda given: str(given)[:60],
)
def test_a_refused_member_is_named_with_what_to_drop(body: Any, path: str) -> None:
    """The person sees which member of the payload it is, also where the worker added it by itself."""
    failure = naming_members(refused(body), PAYLOAD)
    assert [issue.path for issue in failure.issues if issue.code == "member_refused"] == [path]
    assert path.strip("/").replace("/", ".") in failure.message
    assert "leave it out" in failure.message


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "The model `m` is not available"}},
        {"error": "Please stop. The stream is not allowed to stop."},
        {"error": {"message": "max_tokens must be at most 100", "param": "max_tokens"}},
        {"error": "messages: Extra inputs are not permitted"},
    ],
    ids=str,
)
def test_no_member_is_blamed_that_the_server_does_not_refuse(body: Any) -> None:
    """Nor one without which there is no call."""
    failure = refused(body)
    assert naming_members(failure, PAYLOAD) == failure
