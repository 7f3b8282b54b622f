"""Passes on a language model's output while its prediction runs: a list of pieces of text that grows from look to look.

Files are no text, and addresses of Replicate's are hidden here as they are in the answer.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from provider_worker.providers.progress import Progress
from provider_worker.providers.replicate.failures import has_ended
from provider_worker.providers.replicate.hosts import AddressFilter

_ADDRESS = re.compile(r"^(https?:|data:)")
_UNFINISHED = re.compile(r"(h|ht|htt|https?|https?:[^\s\"'<>)\]]*)$")
"""An address, or the beginning of one: more of it may come with the next piece."""


class OutputListener:
    """Passes on new text. `is_text` tells whether the model's lists are pieces of one text; it is asked once."""

    def __init__(
        self, is_text: Callable[[], Awaitable[bool]], progress: Progress, address_filter: AddressFilter
    ) -> None:
        self._is_text = is_text
        self._progress = progress
        self._address_filter = address_filter
        self._known: bool | None = None
        self._said = 0

    async def hear(self, prediction: Mapping[str, Any]) -> None:
        """Take a prediction as it stands."""
        output = prediction.get("output")
        if not isinstance(output, list) or not output or not all(map(_is_piece, output)):
            return
        if self._known is None:
            self._known = await self._is_text()
        if self._known:
            self._say("".join(output), ended=has_ended(prediction))

    def _say(self, text: str, *, ended: bool) -> None:
        unfinished = None if ended else _UNFINISHED.search(text)
        shown = self._address_filter.text(text[: unfinished.start()] if unfinished else text)
        self._progress.say(shown[self._said :])
        self._said = max(self._said, len(shown))


def _is_piece(item: Any) -> bool:
    return isinstance(item, str) and not _ADDRESS.match(item)
