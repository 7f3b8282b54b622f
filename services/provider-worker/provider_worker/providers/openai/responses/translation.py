"""Translates members of Chat Completions into those of Responses. Other members stay as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_PLACES = {
    "max_tokens": ("max_output_tokens",),
    "max_completion_tokens": ("max_output_tokens",),
    "reasoning_effort": ("reasoning", "effort"),
    "verbosity": ("text", "verbosity"),
}
LOGPROBS = "message.output_text.logprobs"


def members_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body's members; a member of Responses goes before the chat's member that means the same."""
    said = {name: value for name, value in given.items() if name not in (*_PLACES, "response_format", "logprobs")}
    for name, (first, *rest) in _PLACES.items():
        if name in given:
            _put(said, first, {rest[0]: given[name]} if rest else given[name])
    if isinstance(given.get("response_format"), Mapping):
        _put(said, "text", {"format": format_of(given["response_format"])})
    if given.get("logprobs") is True:
        said.setdefault("include", [LOGPROBS])
    if isinstance(said.get("tools"), list):
        said["tools"] = [_unwrapped(tool) for tool in said["tools"]]
    if "tool_choice" in said:
        said["tool_choice"] = _unwrapped(said["tool_choice"])
    return said


def _put(said: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(value, dict) and isinstance(said.get(name, {}), Mapping):
        said[name] = {**value, **said.get(name, {})}
    else:
        said.setdefault(name, value)


def format_of(response_format: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `text.format` that a chat's `response_format` stands for."""
    inner = response_format.get("json_schema")
    return {"type": "json_schema", **inner} if isinstance(inner, Mapping) else dict(response_format)


def input_of(messages: Sequence[Any]) -> Iterator[Any]:
    """Return the items that a chat's messages are."""
    for message in messages:
        match message:
            case {"role": "tool", "tool_call_id": call_id}:
                yield {"type": "function_call_output", "call_id": call_id, "output": message.get("content")}
            case {"role": str(role), **members} if "type" not in members:
                content = members.get("content")
                if content:
                    yield {"role": role, "content": _content(content, role)}
                calls = members.get("tool_calls")
                yield from (_call(call) for call in calls) if isinstance(calls, list) else ()
            case _:
                yield message


def part_of(part: Any, role: str) -> Any:
    """Return the input part for a part of a chat's message of `role`."""
    match part:
        case {"type": "text", "text": text}:
            return {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        case {"type": "image_url", "image_url": {"url": url, **more}}:
            return {"type": "input_image", "image_url": url, **more}
        case {"type": "file", "file": {**members}}:
            return {"type": "input_file", **members}
    return part


def _content(content: Any, role: str) -> Any:
    return [part_of(part, role) for part in content] if isinstance(content, list) else content


def _call(call: Any) -> Any:
    match call:
        case {"id": call_id, "function": {"name": name, "arguments": arguments}}:
            return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
    return call


def _unwrapped(tool: Any) -> Any:
    match tool:
        case {"type": "function", "function": {**members}}:
            return {"type": "function", **members}
    return tool
