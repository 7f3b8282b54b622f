"""Joins the pieces of a streamed message. Knows no chunks and no ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider_worker.providers.chat_completions.call_pieces import CallPieces

_WHOLE = ("role", "id", "type", "name")
"""Members that a server sends whole, once or with every chunk; all other texts come in pieces."""

_Object = dict[str, Any]


class MessagePieces:
    """A message as far as its deltas have come."""

    def __init__(self) -> None:
        self._members: _Object = {"role": "assistant", "content": None}
        self._calls = CallPieces()

    def add(self, delta: Mapping[str, Any]) -> None:
        """Add a delta."""
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            self._calls.add(calls)
        join(self._members, {name: value for name, value in delta.items() if name != "tool_calls" or calls is None})

    def whole(self) -> _Object:
        """Return the message."""
        message: _Object = plain(self._members)
        calls = self._calls.whole()
        return {**message, "tool_calls": calls} if calls else message


class _Text:
    """A text that grows: to join it with every piece anew would take time by the square of its length."""

    def __init__(self, piece: str) -> None:
        self.pieces = [piece]


def join(whole: _Object, piece: Mapping[str, Any]) -> None:
    """Join a piece to an object: texts and lists grow, objects are joined, whole members are replaced."""
    for name, value in piece.items():
        match whole.get(name), value:
            case kept, None:
                whole[name] = kept
            case _Text() as kept, str():
                kept.pieces.append(value)
            case None, str() if name not in _WHOLE:
                whole[name] = _Text(value)
            case (dict() | None) as kept, dict():
                whole[name] = kept or {}
                join(whole[name], value)
            case (list() | None) as kept, list():
                whole[name] = kept or []
                _extend(whole[name], value)
            case kept, _ if value != "" or kept is None:
                whole[name] = value


_NEAR = 16
"""Among so many of the last items the one is looked for that a piece goes on with."""


def _extend(whole: list[Any], pieces: list[Any]) -> None:
    """Add pieces to a list: one of the same `index` goes on with the item before it, unless id or type are others."""
    for piece in pieces:
        if not isinstance(piece, dict) or piece.get("index") is None:
            whole.append(piece)
            continue
        same = next((item for item in reversed(whole[-_NEAR:]) if _goes_on(item, piece)), None)
        if same is None:
            whole.append(same := {})
        join(same, piece)


def _goes_on(item: Any, piece: _Object) -> bool:
    if not isinstance(item, dict) or item.get("index") != piece["index"]:
        return False
    return not any(piece.get(name) and item.get(name) and piece[name] != item[name] for name in ("id", "type"))


def plain(value: Any) -> Any:
    """Return the assembled value as JSON, without the list positions of its items."""
    match value:
        case _Text():
            return "".join(value.pieces)
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case list():
            return [plain(_placeless(item)) for item in value]
    return value


def _placeless(item: Any) -> Any:
    return {name: value for name, value in item.items() if name != "index"} if isinstance(item, dict) else item
