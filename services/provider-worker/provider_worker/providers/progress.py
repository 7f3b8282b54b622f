"""The progress of a running call, and the facts about a call that was ended before its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


def _nobody(_: str) -> None:
    """Let partial text go unheard."""


class Progress:
    """A call's progress, reported by its provider: text for watchers, and usage for the ledger if the call is stopped."""

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
        """Count a piece that is paid for but not shown: a thought, or a tool's input."""
        self.characters += len(text)

    def use(self, usage: Mapping[str, Any]) -> None:
        """Note the usage that the vendor reports so far, by its own names; later counts replace earlier ones."""
        self.usage |= usage


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A call that was ended before its answer.

    `payload` is None where it is not at hand. `characters` and `usage` are those received by then. `provider_call_id` was noted.
    """

    operation: str
    model: str | None
    payload: Mapping[str, Any] | None = None
    characters: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)
    provider_call_id: str | None = None
