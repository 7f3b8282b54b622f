"""A completed chat as the chunks of a stream, for all fake servers that speak Chat Completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fake_vendors.streams import Script, event, words_of

_BROKEN = {"error": {"message": "The server had an error.", "type": "server_error", "param": None, "code": None}}


def script_of(completion: Mapping[str, Any], body: Mapping[str, Any]) -> Script:
    """Return the script of a completion of one choice, its usage last where the body asks for it."""
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    (choice,) = completion["choices"]
    common = {name: value for name, value in completion.items() if name not in ("choices", "usage")}
    common |= {"object": "chat.completion.chunk", **({"usage": None} if with_usage else {})}

    def chunk(delta: Mapping[str, Any], **members: Any) -> bytes:
        told = {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": None, **members}
        return event({**common, "choices": [told]})

    message = choice["message"]
    said = "refusal" if message.get("refusal") else "content"
    words = words_of(message[said]) if message[said] else []
    calls = [{"index": place, **call} for place, call in enumerate(message.get("tool_calls", []))]
    others = [
        {name: value} for name, value in message.items() if name not in ("role", "content", "refusal", "tool_calls")
    ]
    others += [{"tool_calls": [call]} for call in calls]
    ending = {name: value for name, value in choice.items() if name not in ("index", "message")}
    used = [event({**common, "choices": [], "usage": completion["usage"]})] if with_usage else []
    return Script(
        before=[chunk({"role": "assistant", "content": "", "refusal": None}), *map(chunk, others)],
        pieces=[chunk({said: word}) for word in words],
        after=[chunk({}, **ending), *used, event("[DONE]")],
        error=event(_BROKEN),
        more=lambda text: chunk({"content": text}),
    )
