"""Joins the pieces of a streamed message's blocks. A block's place is its index; servers that stand in for Anthropic get it wrong.

A block that begins at a place where one stands already is a further block, and a piece without a block begins one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.json_text import read_json
from provider_worker.providers.answers.identity import place_of

_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""By kind of delta: the member that holds the next piece of a block."""

_BLOCKS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "citations_delta": "text",
    "input_json_delta": "tool_use",
}
"""By kind of delta: the block that it goes into."""


class Blocks:
    """The blocks so far, in the order of their places, and where one place has several, in the order in which they began."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._by_index: dict[int, _Block] = {}

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def begin(self, index: Any, block: dict[str, Any]) -> None:
        """Begin a block. Told of the same one again, by its id, it goes on."""
        place = self._place(index)
        if place in self._by_index and block.get("id") and self._by_index[place].begun.get("id") == block["id"]:
            return
        self._by_index[place] = _Block(place, block)
        self._blocks.append(self._by_index[place])

    def add(self, index: Any, delta: Mapping[str, Any]) -> str:
        """Take a piece, and return the text in it. Raises KeyError and TypeError for one that is none of the protocol."""
        kind = delta["type"]
        place = place_of(index)
        found = self._last if place is None else self._by_index.get(place)
        if kind in _BLOCKS and (found is None or not found.takes(kind)):
            self.begin(index, {"type": _BLOCKS[kind]})
            found = self._blocks[-1]
        return "" if found is None else found.add(kind, delta)

    def whole(self) -> list[dict[str, Any]]:
        """Return the blocks."""
        return [block.whole() for block in sorted(self._blocks, key=lambda block: block.place)]

    @property
    def _last(self) -> _Block | None:
        return self._blocks[-1] if self._blocks else None

    def _place(self, index: Any) -> int:
        place = place_of(index)
        if place is not None:
            return place
        return 0 if self._last is None else self._last.place + 1


class _Block:
    """One block: as it began, and its pieces."""

    def __init__(self, place: int, begun: dict[str, Any]) -> None:
        self.place = place
        self.begun = begun
        self._pieces: list[str] = []

    def takes(self, kind: str) -> bool:
        """Return whether pieces of that kind are pieces of this block."""
        mine, theirs = self.begun.get("type"), _BLOCKS[kind]
        return mine == theirs or (theirs == "tool_use" and mine not in ("text", "thinking"))

    def add(self, kind: str, delta: Mapping[str, Any]) -> str:
        """Take a piece, and return the text in it."""
        if kind in _PIECES:
            self._pieces.append(str(delta[_PIECES[kind]]))
            return self._pieces[-1]
        if kind == "signature_delta":
            self.begun["signature"] = delta["signature"]
        elif kind == "citations_delta":
            self.begun["citations"] = [*(self.begun.get("citations") or []), delta["citation"]]
        return ""

    def whole(self) -> dict[str, Any]:
        """Return the block. An input that is no JSON, since it was cut off, stays the text that came: it must not pass for one."""
        said, kind = "".join(self._pieces), self.begun.get("type")
        if not said:
            return self.begun
        if kind in ("text", "thinking"):
            return {**self.begun, kind: f"{self.begun.get(kind) or ''}{said}"}
        try:
            return {**self.begun, "input": read_json(said)}
        except ValueError:
            return {**self.begun, "input": said}
