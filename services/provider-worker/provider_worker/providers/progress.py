"""What a call tells of itself while it runs, and what is known of one that was ended before its answer. Judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


def _nobody(_: str) -> None:
    """Let partial text go unheard."""


class Progress:
    """How far a call is. A provider tells it; watchers hear the text, and the ledger the usage should the call be stopped."""

    def __init__(self, listen: Callable[[str], None] = _nobody) -> None:
        self._listen = listen
        self.characters = 0
        self.usage: dict[str, Any] = {}

    def say(self, text: str) -> None:
        """Pass on a further piece of the answer's text."""
        if text:
            self.characters += len(text)
            self._listen(text)

    def count(self, text: str) -> None:
        """Count a piece that is paid for and that nobody watches: a thought, or what a tool is given."""
        self.characters += len(text)

    def use(self, usage: Mapping[str, Any]) -> None:
        """Note what the vendor says was used so far, by its own names; later words go over earlier ones."""
        self.usage |= usage


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A call that was ended before its answer.

    `payload` is None where it is not at hand; `characters` and `usage` are what was heard by then; `provider_call_id` is what was noted.
    """

    operation: str
    model: str | None
    payload: Mapping[str, Any] | None = None
    characters: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)
    provider_call_id: str | None = None
