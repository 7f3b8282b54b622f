"""Requests for responses of OpenAI: an intent translated into the protocol, and long ones in the background."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from contracts.providers.call import CallIntent
from provider_worker.providers.base import Attachment, ProviderError
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.openai.payloads import RESPONSES, build
from provider_worker.providers.openai.responses.call import with_files
from provider_worker.providers.openai.rules import background_issues, reasoning_issues
from provider_worker.testing.memory import MemoryArtifacts

from .vendor_messages import an_intent

USUAL = {"store": False, "stream": True}
OPENAI = OpenAIProvider("sk-test-key", None)
ELSEWHERE = OpenAIProvider(None, "http://127.0.0.1:9/v1")


def _intent(operation: str = "text", **given: Any) -> CallIntent:
    return an_intent("openai", given.pop("model", "gpt-4.1"), operation, **given)


def _build(operation: str = "text", **given: Any) -> dict[str, Any]:
    return build(_intent(operation, **given), [], RESPONSES)


async def test_openai_itself_is_asked_for_responses_and_other_servers_for_chats() -> None:
    """Every compatible server speaks the latter; a parameter chooses otherwise, and takes no other value."""
    for provider, usual, other in ((OPENAI, "input", "messages"), (ELSEWHERE, "messages", "input")):
        named = "chat" if other == "messages" else "responses"
        assert usual in await provider.create_payload(_intent(), None, [])
        chosen = await provider.create_payload(_intent(parameters={"api": named}), None, [])
        assert other in chosen
        assert "api" not in chosen
        assert await provider.validate_payload("text", chosen) == []
        with pytest.raises(ProviderError) as refused:
            await provider.create_payload(_intent(parameters={"api": "x"}), None, [])
        (issue,) = refused.value.failure.issues
        assert (issue.code, issue.path) == ("api_unknown", "/parameters/api")


async def test_the_payload_tells_which_schema_it_is_held_against() -> None:
    """Not the server it goes to: people may have edited it."""
    payloads: list[dict[str, Any]] = [{"input": "Hi"}, {"messages": []}, {"messages": [], "input": "Hi"}, {}]
    titles = [(await OPENAI.schema_for("text", payload)).document["title"] for payload in payloads]
    assert titles == ["OpenAI response", *["OpenAI chat completion"] * 3]
    issues = await OPENAI.validate_payload("text", {"model": "gpt-4.1", "input": "", "max_output_tokens": 9})
    assert [(issue.path, issue.suggested_fix) for issue in issues] == [
        ("/input", None),
        ("/max_output_tokens", {"max_output_tokens": 16}),
    ]


def test_a_prompt_alone_is_the_input() -> None:
    """Texts stream, and only background responses are stored, unless the parameters say otherwise."""
    assert _build() == {"model": "gpt-4.1", "input": "Hello", **USUAL}
    stored = {"store": True, "stream": False}
    assert _build(parameters=stored) == {"model": "gpt-4.1", "input": "Hello", **stored}


def test_what_is_said_in_a_chat_s_words_is_put_into_those_of_responses() -> None:
    """So that one intent serves both protocols; own members go first, and a member without a counterpart stays and is named."""
    function = {"name": "tell", "parameters": {}}
    given = {
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Yes?"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "tell", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "Told."},
            {"type": "reasoning", "id": "rs_1"},
        ],
        "max_completion_tokens": 99,
        "reasoning_effort": "low",
        "verbosity": "low",
        "text": {"verbosity": "high"},
        "logprobs": True,
        "tools": [{"type": "function", "function": function}, {"type": "web_search"}],
        "tool_choice": {"type": "function", "function": {"name": "tell"}},
        "seed": 7,
    }
    assert _build(parameters=given) == {
        "model": "gpt-4.1",
        "instructions": "Be brief.",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "Yes?"}]},
            {"type": "function_call", "call_id": "c1", "name": "tell", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "Told."},
            {"type": "reasoning", "id": "rs_1"},
            {"role": "user", "content": "Hello"},
        ],
        "max_output_tokens": 99,
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "high"},
        "include": ["message.output_text.logprobs"],
        "tools": [{"type": "function", **function}, {"type": "web_search"}],
        "tool_choice": {"type": "function", "name": "tell"},
        "seed": 7,
        **USUAL,
    }


def test_json_is_asked_for_by_its_format() -> None:
    """By the schema given, strictly where that can be promised; without one for any object, with the word among the messages."""
    schema = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
    asked = _build("json", parameters={"schema": schema, "verbosity": "low"})
    form = {"type": "json_schema", "name": "answer", "schema": schema, "strict": True}
    assert asked["text"] == {"verbosity": "low", "format": form}
    assert "stream" not in asked
    free = _build("json")
    assert free["text"] == {"format": {"type": "json_object"}}
    assert "JSON" in free["input"][0]["content"]
    own = _build("json", parameters={"response_format": {"type": "json_schema", "json_schema": {"name": "mine"}}})
    assert own["text"] == {"format": {"type": "json_schema", "name": "mine"}}


async def test_files_go_out_as_parts_of_the_input() -> None:
    """Refs in the payload, bytes in the request; a link stays one."""
    artifacts = MemoryArtifacts().of("acme")
    kinds = ((b"\x89PNG", "image/png"), (b"%PDF", "application/pdf"), (b"words", "text/csv"))
    attachments = [Attachment(await artifacts.keep(body, kind), kind, len(body)) for body, kind in kinds]
    payload = build(_intent(), [*attachments, Attachment("https://example.com/cat.png")], RESPONSES)
    (message,) = payload["input"]
    assert attachments[0].url in str(message)
    (sent,) = (await with_files(payload, artifacts))["input"]
    assert sent["content"] == [
        {"type": "input_text", "text": "Hello"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw=="},
        {"type": "input_file", "filename": "attachment-2.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"type": "input_text", "text": "words"},
        {"type": "input_image", "image_url": "https://example.com/cat.png"},
    ]
    gone = build(_intent(), [Attachment("artifact:sha256:" + "0" * 64, "image/png", 1)], RESPONSES)
    with pytest.raises(ProviderError, match="artifact_missing"):
        await with_files(gone, artifacts)


@pytest.mark.parametrize(
    ("model", "parameters", "in_background"),
    [
        ("gpt-5.4", {}, None),
        ("gpt-5.4", {"reasoning_effort": "medium"}, None),
        ("gpt-5.4", {"reasoning_effort": "high"}, True),
        ("gpt-5.4", {"reasoning": {"effort": "xhigh"}}, True),
        ("gpt-5.4", {"reasoning": {"mode": "pro"}}, True),
        ("gpt-5.4-pro", {}, True),
        ("o3-pro-2025-06-10", {}, True),
        ("o4-mini-deep-research", {}, True),
        ("gpt-5.4-pro", {"background": False}, False),
        ("gpt-5.4-pro", {"stream": True}, None),
        ("gpt-5.4-pro", {"store": False}, None),
        ("gpt-5.4", {"background": True}, True),
        ("professor", {}, None),
    ],
)
def test_what_takes_minutes_is_made_in_the_background(model: str, parameters: Any, in_background: bool | None) -> None:  # noqa: FBT001
    """By its model or its effort, where the parameters do not say how else; it is stored until it is fetched, and does not stream by itself."""
    body = _build(model=model, parameters=parameters)
    assert body.get("background") is in_background
    if in_background:
        assert "store" not in body
        assert "stream" not in body


@pytest.mark.parametrize(
    ("payload", "fixes"),
    [
        ({"model": "gpt-5.4-mini", "temperature": 0.2}, [{"temperature": None}]),
        ({"model": "gpt-5.4", "temperature": 0.2, "reasoning": {"effort": "none"}}, []),
        ({"model": "o3", "max_tokens": 99}, [{"max_tokens": None, "max_output_tokens": 99}]),
        ({"model": "gpt-4.1", "background": True, "store": False}, [{"store": None}]),
        ({"model": "gpt-4.1", "background": True}, []),
        ({"model": "gpt-4.1", "store": False}, []),
    ],
)
def test_what_openai_does_not_take_can_be_mended(payload: Any, fixes: list[Any]) -> None:
    """Without a person: the mend is the only one there is."""
    issues = [*background_issues(payload), *reasoning_issues({"input": "Hi", **payload})]
    assert [issue.suggested_fix for issue in issues] == fixes
    assert all(issue.auto_fixable for issue in issues)


async def test_an_estimate_counts_the_input_and_the_instructions() -> None:
    """As for a chat: a token for four characters, 800 for an image, an answer as long as it may be."""
    parameters = {"system": "y" * 400, "max_output_tokens": 100}
    payload = build(_intent(model="gpt-5.4-mini", prompt="x" * 4000, parameters=parameters), [], RESPONSES)
    assert await OPENAI.estimate_cost("text", payload) == (1100 * Decimal("0.75") + 100 * Decimal("4.5")) / 1_000_000
    assert OPENAI.estimate_tokens("text", payload) == 1200
    picture = {"type": "input_image", "image_url": "artifact:sha256:0"}
    assert OPENAI.estimate_tokens("text", {"input": [{"content": [picture]}], "max_output_tokens": 16}) == 816
