"""The fake OpenAI's memory of responses: those in the background are queued, in progress at the first look, and ended at the second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fake_vendors.openai.responses import begun

_ENDS_AT = 2

_Object = dict[str, Any]


class Stored:
    """Responses that can be asked about. `pending` is the fault of one that never ends, `lost` of one that is forgotten."""

    def __init__(self) -> None:
        self._responses: dict[str, _Object] = {}
        self._looks: dict[str, int] = {}
        self._faults: dict[str, str | None] = {}

    def keep(self, whole: _Object, fault: str | None) -> _Object:
        """Keep a response, and return it as it stands at its beginning."""
        name = whole["id"]
        self._responses[name], self._looks[name], self._faults[name] = whole, 0, fault
        return begun(whole, "queued") if whole["background"] else whole

    def look(self, name: str) -> tuple[_Object | None, str | None]:
        """Return a response as it is now, None if it is unknown, and the fault of this look."""
        whole, fault = self._responses.get(name), self._faults.get(name)
        if whole is None or fault == "lost":
            return None, None
        self._looks[name] += 1
        looks = self._looks[name] - (fault in ("look_500", "look_cut"))
        wrong = fault if looks == 0 else None
        is_over = whole["status"] == "cancelled" or (looks >= _ENDS_AT and fault != "pending")
        return (whole if is_over or not whole["background"] else begun(whole, "in_progress")), wrong

    def cancel(self, name: str) -> _Object | None:
        """End a response and return it, None where none is known that could be ended. One that has ended stays as it is."""
        whole = self._responses.get(name)
        if whole is None or not whole["background"]:
            return None
        if self._looks[name] < _ENDS_AT or self._faults[name] == "pending":
            self._responses[name] = whole = {**begun(whole, "cancelled"), "usage": _used(whole)}
        return whole


def _used(whole: Mapping[str, Any]) -> _Object | None:
    usage = whole["usage"]
    return usage and {**usage, "output_tokens": 0, "total_tokens": usage["input_tokens"]}
