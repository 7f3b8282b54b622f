"""The progress of a running call, and the facts about a call that was ended before its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


def _unheard(_: str) -> None:
    """Let partial text go unheard."""


def _nothing() -> Any:
    """Hold nothing."""


class Progress:
    """A call's progress, reported by its provider: text for watchers, and usage for the ledger if the call is stopped.

    `received` returns what came so far, as near to the vendor's own bytes as JSON allows; None while nothing did.
    """

    def __init__(self, listen: Callable[[str], None] = _unheard) -> None:
        self._listen = listen
        self.characters = 0
        self.usage: dict[str, Any] = {}
        self.received: Callable[[], Any] = _nothing

    def hold(self, received: Callable[[], Any] = _nothing) -> None:
        """Let `received` tell what came so far: it is paid for, should the call fail. Without an argument nothing came."""
        self.received = received

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


running_call: ContextVar[Progress | None] = ContextVar("running_call", default=None)
"""The progress of the call that this task makes."""


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
