"""Gathers the items of a response from its events, for ends that leave them out and for streams without an end.

An event names its item by `output_index` and `item_id`; servers get either wrong. An id that differs begins a new item only where an
event says that one begins.
"""

from __future__ import annotations

from typing import Any

_TEXTS = {
    "response.output_text.delta": ("message", "content", "output_text", "text"),
    "response.refusal.delta": ("message", "content", "refusal", "refusal"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary", "summary_text", "text"),
    "response.reasoning_text.delta": ("reasoning", "content", "reasoning_text", "text"),
}
"""By kind of event: the item's type, the member that holds its parts, the part's type, and the member that grows."""

_STRINGS = {
    "response.function_call_arguments.delta": ("function_call", "arguments"),
    "response.custom_tool_call_input.delta": ("custom_tool_call", "input"),
    "response.mcp_call_arguments.delta": ("mcp_call", "arguments"),
}

_OPEN = 16
"""Among so many of the last items the one is looked for that an event is about."""

_Object = dict[str, Any]


class OutputItems:
    """The items so far, in the order in which they began."""

    def __init__(self) -> None:
        self._items: list[_Item] = []

    def add(self, event: Any) -> None:
        """Take an event; those that tell of no item change nothing."""
        if not isinstance(event, dict):
            return
        kind, item, delta = event.get("type"), event.get("item"), event.get("delta")
        if kind == "response.output_item.added" and isinstance(item, dict):
            self._items.append(_Item(event.get("output_index"), item))
        elif kind == "response.output_item.done" and isinstance(item, dict):
            self._found(event, item.get("type"), item.get("id")).done = item
        elif isinstance(delta, str) and kind in (*_TEXTS, *_STRINGS):
            told = _TEXTS[kind] if kind in _TEXTS else _STRINGS[kind]
            self._found(event, told[0], event.get("item_id")).add(told, event, delta)

    def whole(self) -> list[_Object]:
        """Return the items, those that were not finished as far as they came."""
        return [item.whole() for item in self._items]

    def _found(self, event: _Object, kind: Any, item_id: Any) -> _Item:
        """Return the open item that an event is about: by its id, else by its place, else a new one."""
        still = [item for item in self._items[-_OPEN:] if item.done is None and item.begun.get("type") == kind]
        named = [item for item in still if item_id and item.begun.get("id") == item_id]
        placed = [item for item in still if item.index == event.get("output_index")]
        if found := (named or placed)[-1:]:
            return found[0]
        self._items.append(new := _Item(event.get("output_index"), {"type": kind, "id": item_id}))
        return new


class _Item:
    """One item: as it began, as it grew, and as it was when it was done."""

    def __init__(self, index: Any, begun: _Object) -> None:
        self.index = index
        self.begun = begun
        self.done: _Object | None = None
        self._texts: dict[tuple[Any, ...], list[str]] = {}

    def add(self, told: tuple[str, ...], event: _Object, delta: str) -> None:
        """Take a piece of text."""
        place = (*told[1:], event.get("content_index", event.get("summary_index")))
        self._texts.setdefault(place, []).append(delta)

    def whole(self) -> _Object:
        """Return the item."""
        if self.done is not None:
            return self.done
        item: _Object = {**self.begun, "status": "incomplete"}
        for (member, *part, _), pieces in self._texts.items():
            text = "".join(pieces)
            if part:
                kind, grows = part
                item[member] = [*(item.get(member) or []), {"type": kind, grows: text}]
            else:
                item[member] = text
        return item
