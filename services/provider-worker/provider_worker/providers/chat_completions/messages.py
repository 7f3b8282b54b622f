"""Reads a chat's message, in all the forms in which servers write texts, tool calls, thoughts, sounds and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provider_worker.providers.answers.said import Said, ToolCall, words_in

_TEXTS = (None, "text", "output_text", "input_text")
_THOUGHTS = ("thinking", "reasoning", "redacted_thinking", "summary_text", "reasoning_text")
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
"""Members in which servers put what the model thought; the first one that has words counts."""

_READ = {"role", "content", "refusal", "tool_calls", "function_call", "audio", "images", *_REASONING}


def text_of(content: Any) -> str:
    """Return the text of a message's content, which is one or a list of parts."""
    return content if isinstance(content, str) else "".join(_texts(content))


def _texts(content: Any) -> Iterator[str]:
    for part in _listed(content):
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and part.get("type") in _TEXTS and isinstance(part.get("text"), str):
            yield part["text"]


def said_in(message: Mapping[str, Any]) -> Said:
    """Return what a message says. Members and parts that no server is known to write are kept as they came."""
    content, audio = message.get("content"), message.get("audio")
    parts = [part for part in _listed(content) if part not in (None, "", {})]
    thoughts = [words_in(part) for part in parts if _kind(part) in _THOUGHTS]
    text = text_of(content)
    if not text and isinstance(audio, Mapping) and isinstance(audio.get("transcript"), str):
        text = audio["transcript"]
    return Said(
        text=text,
        refusal=_text(message.get("refusal")) + "".join(_text(part["refusal"]) for part in parts if _refuses(part)),
        calls=tuple(_calls(message)),
        reasoning=next((said for name in _REASONING if (said := words_in(message.get(name)))), "".join(thoughts)),
        media={**_sounds(audio), **_pictures(message.get("images"), parts)},
        items=tuple(part for part in parts if not _is_known(part)),
        rest={name: value for name, value in message.items() if name not in _READ and value not in (None, "", [], {})},
    )


def _calls(message: Mapping[str, Any]) -> Iterator[ToolCall]:
    for call in _listed(message.get("tool_calls")):
        custom, function = (call.get("custom"), call.get("function")) if isinstance(call, dict) else (None, None)
        if isinstance(custom, Mapping):
            yield ToolCall(call, custom.get("name"), custom.get("input"), is_free=True)
        else:
            told = function if isinstance(function, Mapping) else call if isinstance(call, dict) else {}
            yield ToolCall(call, told.get("name"), told.get("arguments"))
    if isinstance(older := message.get("function_call"), Mapping) and older:
        yield ToolCall({"type": "function", "function": older}, older.get("name"), older.get("arguments"))


def _is_known(part: Any) -> bool:
    if isinstance(part, str) or _kind(part) in _THOUGHTS or _refuses(part) or _is_picture(part):
        return True
    return isinstance(part, dict) and part.get("type") in _TEXTS and isinstance(part.get("text"), str)


def _refuses(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "refusal" and isinstance(part.get("refusal"), str)


def _is_picture(part: Any) -> bool:
    return _kind(part) in ("image", "image_url", "output_image")


def _sounds(audio: Any) -> dict[str, Any]:
    return {"audio": audio} if audio else {}


def _pictures(images: Any, parts: list[Any]) -> dict[str, Any]:
    found = [*_listed(images), *(part for part in parts if _is_picture(part))]
    return {"images": found} if found else {}


def _kind(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    return kind if isinstance(kind, str) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _listed(value: Any) -> list[Any]:
    """Return a list, and a lone object as a list of it."""
    return value if isinstance(value, list) else [value] if isinstance(value, dict) and value else []
