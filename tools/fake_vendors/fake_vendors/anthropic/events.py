"""A message of the fake Anthropic as the events of a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fake_vendors.streams import Script, event, words_of

_OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
_AT_THE_END = ("stop_reason", "stop_sequence", "stop_details")


def script_of(message: Mapping[str, Any]) -> Script:
    """Return the script of a message of one block at most."""
    begun = {**message, "content": [], **dict.fromkeys(_AT_THE_END), "usage": {**message["usage"], "output_tokens": 1}}
    delta = {name: message[name] for name in _AT_THE_END}
    used = {"output_tokens": message["usage"]["output_tokens"], "input_tokens": None}
    before = [_event("message_start", message=begun), _event("ping")]
    after = [_event("message_delta", delta=delta, usage=used), _event("message_stop")]
    pieces: list[bytes] = []
    for index, block in enumerate(message["content"]):
        empty, deltas = _told(block)
        before.append(_event("content_block_start", index=index, content_block=empty))
        pieces += [_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        after.insert(-2, _event("content_block_stop", index=index))
    return Script(before, pieces, after, event(_OVERLOADED, "error"), _more)


def _told(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a block without its text, and the text in pieces."""
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [{"type": "text_delta", "text": word} for word in words_of(block["text"])]
        case "thinking":
            signed = {"type": "signature_delta", "signature": block["signature"]}
            thoughts = [{"type": "thinking_delta", "thinking": word} for word in words_of(block["thinking"])]
            return {**block, "thinking": "", "signature": ""}, [*thoughts, signed]
        case _:
            words = words_of(json.dumps(block["input"]))
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": word} for word in words]


def _more(text: str) -> bytes:
    return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def _event(kind: str, **members: Any) -> bytes:
    return event({"type": kind, **members}, kind)
