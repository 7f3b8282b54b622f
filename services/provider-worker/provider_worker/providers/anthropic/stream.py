"""Assembles a streamed message into the same object as an unstreamed answer.

The SDK's own accumulator is not used: it drops unknown members, and parses a tool's input again with each piece.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json

from contracts.providers.call import Failure
from provider_worker.providers.anthropic.blocks import Blocks
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.errors.failures import error_in, half_heard, malformed_event, of_error, unended
from provider_worker.providers.progress import Progress

_OUTPUT = "output_tokens"


class Event(NamedTuple):
    """A server-sent event."""

    name: str | None
    data: str


async def read_stream(events: AsyncGenerator[Event], progress: Progress) -> dict[str, Any]:
    """Return the message of the events; `progress` gets its text as it comes, and holds what came. Raises ProviderError."""
    message = _Message(progress)
    progress.hold(message.received)
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                message.take(event)
                if message.has_ended:
                    break
        return message.whole()
    except ProviderError as error:
        raise ProviderError(half_heard(error.failure) if message.is_heard else error.failure) from error


class _Message:
    """A message as far as its events have come."""

    def __init__(self, progress: Progress) -> None:
        self.is_heard = False
        self.has_ended = False
        self._progress = progress
        self._message: dict[str, Any] = {}
        self._blocks = Blocks()
        self._unread: list[str] = []

    def take(self, event: Event) -> None:
        """Take the next event. Unknown kinds are skipped, as the protocol asks for. Raises ProviderError."""
        if not event.data:
            return
        try:
            told = from_json(event.data)
        except ValueError as error:
            self._unread.append(event.data)
            raise ProviderError(malformed_event(event.data)) from error
        if event.name == "error" or error_in(told, in_stream=True) is not None:
            raise ProviderError(of_error(told))
        try:
            self._take(told)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._unread.append(event.data)
            message = "The server's stream holds an event that is none of the Messages protocol."
            raise ProviderError(Failure(code="malformed_response", message=message)) from error

    def whole(self) -> dict[str, Any]:
        """Return the message with all its blocks. Raises ProviderError without its last event."""
        if not self.has_ended:
            raise ProviderError(unended())
        return self._content()

    def received(self) -> Any:
        """Return what came of the message, whether or not it is complete; None where nothing did."""
        if not self._message and not self._blocks and not self._unread:
            return None
        unread = {"unread": self._unread} if self._unread else {}
        return {**self._content(), **unread}

    def _content(self) -> dict[str, Any]:
        # A server that does not really stream may tell of the blocks at the beginning.
        return {**self._message, "content": self._blocks.whole() or self._message.get("content") or []}

    def _take(self, event: Any) -> None:
        match event["type"]:
            case "message_start":
                self._message = dict(event["message"])
                # The number of output tokens comes at the end; here it is only a first value.
                self._progress.use({name: used for name, used in self._used.items() if name != _OUTPUT})
            case "content_block_start":
                self._blocks.begin(event.get("index"), dict(event["content_block"]))
            case "content_block_delta":
                self._hear(event.get("index"), event["delta"])
            case "message_delta":
                self._message |= {name: value for name, value in event["delta"].items() if value is not None}
                self._use(event.get("usage") or {})
            case "message_stop":
                self.has_ended = True

    @property
    def _used(self) -> Mapping[str, Any]:
        used = self._message.get("usage")
        return used if isinstance(used, Mapping) else {}

    def _use(self, usage: Mapping[str, Any]) -> None:
        """Take counts that replace the first ones; a count that is not repeated still holds."""
        told = {name: used for name, used in usage.items() if used is not None}
        self._message["usage"] = {**self._used, **told}
        self._progress.use(told)

    def _hear(self, index: Any, delta: Mapping[str, Any]) -> None:
        said = self._blocks.add(index, delta)
        self.is_heard = True
        (self._progress.say if delta["type"] == "text_delta" else self._progress.count)(said)
