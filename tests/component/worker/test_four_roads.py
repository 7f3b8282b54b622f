"""The same failure by four roads, at every vendor through its real SDK: the same reason, the same retry, the same circuit.

The roads: a status, the body of a 200, an event of a stream, and an event that gives a number in place of a name. Replicate has
no streams: there the third and fourth are a body of 200 with a name, and with a number.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from starlette.responses import Response

from contracts.providers.call import Failure
from provider_worker.execution.refused_members import naming_members
from provider_worker.providers.anthropic import AnthropicProvider
from provider_worker.providers.base import AIProvider, Call, ProviderError
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.replicate import ReplicateProvider
from provider_worker.rate_limits.circuit_breakers import sign_of
from provider_worker.testing.memory import MemoryArtifacts

from .predictions import PACE
from .running_worker import serving
from .vendors import Scripted

KEY = "a-very-secret-key-of-the-worker"
SAID = "so said the vendor"


class Vendor(NamedTuple):
    """How a vendor is asked: its provider, the operation, a payload that streams and one that does not."""

    make: Callable[[str], AIProvider]
    operation: str
    plain: Mapping[str, Any]
    streamed: Mapping[str, Any] | None


_CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
_RESPONSE = {"model": "m", "input": "Hi"}
VENDORS = {
    "openai chat": Vendor(lambda url: OpenAIProvider(KEY, f"{url}/v1"), "text", _CHAT, {**_CHAT, "stream": True}),
    "openai responses": Vendor(
        lambda url: OpenAIProvider(KEY, f"{url}/v1"), "text", _RESPONSE, {**_RESPONSE, "stream": True}
    ),
    "openai images": Vendor(lambda url: OpenAIProvider(KEY, f"{url}/v1"), "image", {"model": "m", "prompt": "x"}, None),
    "anthropic": Vendor(
        lambda url: AnthropicProvider(KEY, url),
        "text",
        {**_CHAT, "max_tokens": 9},
        {**_CHAT, "max_tokens": 9, "stream": True},
    ),
    "huggingface": Vendor(lambda url: HuggingFaceProvider(KEY, url), "text", _CHAT, {**_CHAT, "stream": True}),
    "huggingface images": Vendor(
        lambda url: HuggingFaceProvider(KEY, url), "image", {"model": "a/b", "inputs": "x"}, None
    ),
    "replicate": Vendor(
        lambda url: ReplicateProvider(KEY, url, schedule=PACE), "predict", {"version": "0" * 64, "input": {}}, None
    ),
}

KINDS: dict[str, tuple[int, str, str, bool]] = {
    # status, name, code, retryable
    "rate limit": (429, "rate_limit_exceeded", "rate_limited", True),
    "no quota": (402, "insufficient_quota", "quota_exceeded", False),
    "bad key": (401, "invalid_api_key", "auth_failed", False),
    "forbidden": (403, "permission_error", "forbidden", False),
    "no model": (404, "model_not_found", "not_found", False),
    "too long": (400, "context_length_exceeded", "request_refused", False),
    "overloaded": (503, "overloaded_error", "provider_error", True),
    "broken": (500, "server_error", "provider_error", True),
    "gave up": (504, "timeout_error", "timeout", True),
}
ROADS = ("status", "body", "event", "number")


Providers = Mapping[str, AIProvider]
ADDRESS: list[str] = []
"""Where the server is, once it is served."""


@pytest.fixture(scope="module")
def server() -> Scripted:
    """Give the server's script."""
    return Scripted()


@pytest_asyncio.fixture(scope="module")
async def providers(server: Scripted) -> AsyncIterator[Providers]:
    """Serve it on loopback, and give every vendor's provider before it."""
    async with serving(server.app()) as url:
        ADDRESS[:] = [url]
        made = {name: vendor.make(url) for name, vendor in VENDORS.items()}
        yield made
        for provider in made.values():
            await provider.close()


def _json(body: Any, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json.dumps(body), status, named, media_type="application/json")


def _event(data: Any, name: str | None = None) -> Response:
    line = f"event: {name}\n" if name else ""
    return Response(f"{line}data: {json.dumps(data)}\n\n", media_type="text/event-stream")


def _by(road: str, status: int, name: str, *, streams: bool) -> Response:
    """Return the failure as it comes by a road."""
    named, numbered = {"error": {"message": SAID, "code": name}}, {"error": {"message": SAID, "code": status}}
    match road:
        case "status":
            return _json({"error": {"message": SAID}}, status)
        case "body":
            return _json({"id": None, "choices": None, **named})
        case "event":
            return _event(named) if streams else _json(named)
        case _:
            return _event(numbered) if streams else _json(numbered)


async def _failure(providers: Providers, vendor: str, payload: Mapping[str, Any] | None = None) -> Failure:
    asked = VENDORS[vendor]
    call = Call(asked.operation, "m", 1, "work-1:1", MemoryArtifacts().of("acme"))
    with pytest.raises(ProviderError) as failed:
        await providers[vendor].execute(asked.plain if payload is None else payload, call)
    return failed.value.failure


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_failure_is_the_same_by_every_road(
    providers: Providers, server: Scripted, vendor: str, kind: str
) -> None:
    """Reason, retry, circuit and the vendor's words; one call reaches the server each time."""
    status, name, code, retryable = KINDS[kind]
    asked = VENDORS[vendor]
    found, before = {}, server.calls
    for number, road in enumerate(ROADS):
        streams = asked.streamed is not None and road in ("event", "number")
        server.answer = lambda road=road, streams=streams: _by(road, status, name, streams=streams)  # type: ignore[misc]
        payload = asked.streamed if streams and asked.streamed else asked.plain
        failure = await _failure(providers, vendor, payload)
        found[road] = (failure.code, failure.retryable, failure.uncertain, sign_of(failure))
        assert SAID in failure.message, road
        assert KEY not in failure.message
        assert server.calls == before + number + 1
    assert set(found.values()) == {
        (code, retryable, code == "timeout", sign_of(Failure(code=code, message="", status=status)))
    }


@pytest.mark.parametrize("vendor", [name for name, vendor in VENDORS.items() if vendor.streamed])
@pytest.mark.parametrize(
    "event",
    [
        _event({"error": SAID, "code": 429}),
        _event({"error": {"message": SAID}, "status": 429}),
        _event({"message": SAID, "code": "429"}, "error"),
        _event({"error": {"error": {"message": SAID, "code": 429}}}, "error"),
        _event({"type": "error", "error": {"type": "rate_limit_error", "message": SAID}}, "error"),
        _event({"type": "error", "code": "rate_limit_exceeded", "message": SAID}),
        _event({"object": "error", "message": SAID, "code": 429}),
        _event({"detail": SAID, "status": 429}),
    ],
    ids=lambda event: event.body.decode().replace("\n", " ")[:70],
)
async def test_an_event_of_any_shape_is_read(
    providers: Providers, server: Scripted, vendor: str, event: Response
) -> None:
    """Named as an error, holding one, or being one."""
    asked = VENDORS[vendor]
    server.answer = lambda: event
    assert asked.streamed is not None
    failure = await _failure(providers, vendor, asked.streamed)
    assert (failure.code, failure.retryable) == ("rate_limited", True)
    assert SAID in failure.message


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"error": {"message": SAID}}),
        json.dumps({"error": SAID}),
        json.dumps({"message": SAID}),
        json.dumps({"detail": SAID}),
        json.dumps({"detail": [{"loc": ["body", "stream_options"], "msg": SAID}]}),
        json.dumps([SAID]),
        json.dumps({"unheard": {"of": SAID}}),
        SAID,
        f"<html><body>{SAID}</body></html>",
    ],
    ids=lambda body: body[:40],
)
async def test_the_reason_of_a_refusal_is_seen_in_every_shape(
    providers: Providers, server: Scripted, vendor: str, body: str
) -> None:
    """At every vendor."""
    server.answer = lambda: Response(body, 422, {"content-type": "application/octet-stream"})
    failure = await _failure(providers, vendor)
    assert (failure.code, failure.status) == ("request_refused", 422)
    assert SAID in failure.message


async def test_a_server_that_refuses_stream_options_is_told_of_with_what_to_drop(
    providers: Providers, server: Scripted
) -> None:
    """The worker adds that member by itself, so the person has to learn of it."""
    server.answer = lambda: _json(
        {"detail": [{"loc": ["body", "stream_options"], "msg": "extra inputs are not permitted"}]}, 422
    )
    payload = {**_CHAT, "stream": True, "stream_options": {"include_usage": True}}
    failure = naming_members(await _failure(providers, "openai chat", payload), payload)
    assert "extra inputs are not permitted" in failure.message
    assert "leave it out, or start again with the parameter `stream: false`" in failure.message
    assert [issue.path for issue in failure.issues] == ["/stream_options"]


_OF: dict[str, tuple[Callable[[str], AIProvider], str]] = {
    "openai chat": (lambda url: OpenAIProvider(KEY, url), "/chat/completions"),
    "openai responses": (lambda url: OpenAIProvider(KEY, url), "/responses"),
    "anthropic": (lambda url: AnthropicProvider(KEY, url), "/messages"),
    "huggingface": (lambda url: HuggingFaceProvider(KEY, url), "/chat/completions"),
    "replicate": (lambda url: ReplicateProvider(KEY, url, schedule=PACE), "/predictions"),
}


@pytest.mark.parametrize("vendor", _OF)
@pytest.mark.parametrize("written", ["{url}", "{url}/", "{url}/v1", "{url}/v1/", "{url}/proxy/v1", "{url}/proxy/v1/"])
async def test_an_address_is_the_same_with_the_version_and_without(
    providers: Providers, server: Scripted, vendor: str, written: str
) -> None:
    """One rule for all vendors, whose SDKs have three."""
    make, operation = _OF[vendor]
    server.answer = lambda: _json({"error": SAID}, 400)
    server.paths.clear()
    made = dict(providers)
    provider = made[vendor] = make(written.format(url=ADDRESS[0]))
    await _failure(made, vendor)
    await provider.close()
    assert server.paths == [f"{'/proxy' * ('proxy' in written)}/v1{operation}"]


async def test_a_huge_refusal_is_a_refusal(providers: Providers, server: Scripted) -> None:
    """Its beginning is read, and its status counts."""
    server.answer = lambda: Response(SAID + " x" * 2_000_000, 429, {"retry-after": "7"})
    for vendor in VENDORS:
        failure = await _failure(providers, vendor)
        assert (failure.code, failure.retry_after) == ("rate_limited", 7)
        assert failure.message.startswith(SAID)
        assert len(failure.message) <= 600
