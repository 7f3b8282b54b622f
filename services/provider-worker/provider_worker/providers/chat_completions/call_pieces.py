"""Joins the pieces of streamed tool calls, whose identity servers get wrong: one index for all, ids in each piece, or neither.

The rule: an id that differs begins a new call. A piece without an id goes on with the last call of its index, or with the last of all
where it has no index. A piece that names a function begins a new call where the call before it is complete and is not repeated by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.json_text import read_json
from provider_worker.providers.answers.identity import identity_of, place_of

_LONGEST_TRIED, _MOST_TRIES = 64 * 1024, 50
"""Longer arguments, and those in more named pieces, are not tried for completeness: that would take time by the square of their length."""

_Object = dict[str, Any]


class CallPieces:
    """The calls of one message so far, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[Any, _Call] = {}

    def add(self, pieces: Sequence[Any]) -> None:
        """Add the pieces of one delta."""
        for piece in pieces:
            if isinstance(piece, dict):
                self._add(piece)

    def whole(self) -> list[_Object]:
        """Return the calls."""
        return [call.whole() for call in self._calls]

    def _add(self, piece: _Object) -> None:
        call_id, index = identity_of(piece.get("id")), place_of(piece.get("index"))
        before = self._before(call_id, index)
        if before is None or before.is_followed_by(piece, call_id, index):
            self._calls.append(before := _Call(index))
        before.add(piece)
        if call_id:
            self._by_id[call_id] = before
        if index is not None:
            self._by_index[index] = before

    def _before(self, call_id: str, index: Any) -> _Call | None:
        """Return the call that a piece goes on with, as far as id and index say."""
        if call_id and call_id in self._by_id:
            return self._by_id[call_id]
        last = self._calls[-1] if self._calls else None
        found = self._by_index.get(index) if index is not None else last
        return None if found is not None and call_id and found.call_id else found


class _Call:
    """One call so far. Arguments are kept in their pieces."""

    def __init__(self, index: Any) -> None:
        self.call_id = ""
        self._index = index
        self._members: _Object = {}
        self._function: _Object = {}
        self._texts: dict[str, list[str]] = {}
        self._tries = 0

    def add(self, piece: _Object) -> None:
        """Take a further piece."""
        self.call_id = self.call_id or identity_of(piece.get("id"))
        for name, value in piece.items():
            if name in _BODIES and isinstance(value, dict):
                self._members.setdefault(name, self._function)
                self._add_body(value)
            elif name != "index" and (value not in (None, "") or name not in self._members):
                self._members[name] = value

    def _add_body(self, body: Mapping[str, Any]) -> None:
        for name, value in body.items():
            if name in _IN_PIECES and isinstance(value, str):
                self._function.setdefault(name, value)  # keeps its place; the whole text takes it in the end
                self._texts.setdefault(name, []).append(value)
            elif value not in (None, "") or name not in self._function:
                self._function[name] = value

    def is_followed_by(self, piece: _Object, call_id: str, index: Any) -> bool:
        """Return whether a piece that id and index give to this call begins another: it names a function, and this one is complete."""
        body: _Object = next((piece[name] for name in _BODIES if isinstance(piece.get(name), dict)), {})
        name, arguments, mine = _text(body.get("name")), body.get("arguments"), self._function.get("name")
        if not name or not mine or not (any(self._texts.get("arguments", ())) or self._function.get("arguments")):
            return False
        if name != mine:
            return True
        if not isinstance(arguments, str) or "arguments" not in self._texts:
            return bool(arguments)  # objects come whole
        return arguments != "" and self._is_complete(arguments, repeats=bool(call_id) and index == self._index)

    def _is_complete(self, arguments: str, *, repeats: bool) -> bool:
        """Return whether the arguments so far are whole, and are not those that come again (where they may)."""
        pieces = self._texts["arguments"]
        if not pieces[-1].rstrip().endswith("}"):
            return False
        self._tries += 1
        if self._tries > _MOST_TRIES or sum(map(len, pieces)) > _LONGEST_TRIED:
            return False
        joined = "".join(pieces)
        return _is_json(joined) and not (repeats and arguments == joined)

    def whole(self) -> _Object:
        """Return the call."""
        function = {**self._function, **{name: text_of_pieces(pieces) for name, pieces in self._texts.items()}}
        return {name: function if value is self._function else value for name, value in self._members.items()}


_BODIES = ("function", "custom")
_IN_PIECES = ("arguments", "input")


def text_of_pieces(pieces: Sequence[str]) -> str:
    """Return the arguments of a call: the pieces joined, or the last of them where servers repeat in it all that came before."""
    joined = "".join(pieces)
    if len(pieces) == 1 or _is_json(joined):
        return joined
    last = next(piece for piece in reversed(pieces) if piece) if joined else ""
    if _is_json(last) and all(last.startswith(piece) or piece == "{}" for piece in pieces):
        return last
    first, *rest = [piece for piece in pieces if piece] or [""]
    return "".join(rest) if first == "{}" and _is_json("".join(rest)) else joined


def _is_json(text: str) -> bool:
    try:
        read_json(text)
    except ValueError:
        return False
    return True


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
