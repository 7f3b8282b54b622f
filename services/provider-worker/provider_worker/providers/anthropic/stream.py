"""Assembles a streamed message into the same object as an unstreamed answer.

The SDK's own accumulator is not used: it drops unknown members, and parses a tool's input again with each piece.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json

from contracts.providers.call import Failure
from provider_worker.providers.base import ProviderError
from provider_worker.providers.http.failures import error_in, half_heard, malformed_event, of_error, unended
from provider_worker.providers.progress import Progress

_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""By kind of delta: the member that holds the next piece of a block."""

_OUTPUT = "output_tokens"


class Event(NamedTuple):
    """A server-sent event."""

    name: str | None
    data: str


async def read_stream(events: AsyncGenerator[Event], progress: Progress) -> dict[str, Any]:
    """Return the message of the events, and pass on its text as it comes. Raises ProviderError."""
    message = _Message(progress)
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
        self._blocks: dict[int, dict[str, Any]] = {}
        self._pieces: defaultdict[int, list[str]] = defaultdict(list)

    def take(self, event: Event) -> None:
        """Take the next event. Unknown kinds are skipped, as the protocol asks for. Raises ProviderError."""
        if not event.data:
            return
        try:
            told = from_json(event.data)
        except ValueError as error:
            raise ProviderError(malformed_event(event.data)) from error
        if event.name == "error" or error_in(told, in_stream=True) is not None:
            raise ProviderError(of_error(told))
        try:
            self._take(told)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            message = "The server's stream holds an event that is none of the Messages protocol."
            raise ProviderError(Failure(code="malformed_response", message=message)) from error

    def whole(self) -> dict[str, Any]:
        """Return the message with all its blocks. Raises ProviderError without its last event."""
        if not self.has_ended:
            raise ProviderError(unended())
        return {**self._message, "content": [self._blocks[index] for index in sorted(self._blocks)]}

    def _take(self, event: Any) -> None:
        match event["type"]:
            case "message_start":
                self._message = dict(event["message"])
                # The number of output tokens comes at the end; here it is only a first value.
                self._progress.use({name: used for name, used in self._used.items() if name != _OUTPUT})
            case "content_block_start":
                self._blocks[int(event["index"])] = dict(event["content_block"])
            case "content_block_delta":
                self._hear(int(event["index"]), event["delta"])
            case "content_block_stop":
                self._close(int(event["index"]))
            case "message_delta":
                self._message |= {name: value for name, value in event["delta"].items() if value is not None}
                self._use(event.get("usage") or {})
            case "message_stop":
                for index in list(self._pieces):
                    self._close(index)
                self.has_ended = True

    @property
    def _used(self) -> Mapping[str, Any]:
        return self._message.get("usage") or {}

    def _use(self, usage: Mapping[str, Any]) -> None:
        """Take counts that replace the first ones; a count that is not repeated still holds."""
        told = {name: used for name, used in usage.items() if used is not None}
        self._message["usage"] = {**self._used, **told}
        self._progress.use(told)

    def _hear(self, index: int, delta: Mapping[str, Any]) -> None:
        block, kind = self._blocks[index], delta["type"]
        self.is_heard = True
        if kind in _PIECES:
            piece = str(delta[_PIECES[kind]])
            self._pieces[index].append(piece)
            (self._progress.say if kind == "text_delta" else self._progress.count)(piece)
        elif kind == "signature_delta":
            block["signature"] = delta["signature"]
        elif kind == "citations_delta":
            block["citations"] = block.get("citations") or []
            block["citations"].append(delta["citation"])

    def _close(self, index: int) -> None:
        block, said = self._blocks[index], "".join(self._pieces.pop(index, ()))
        if not said:
            return
        match block["type"]:
            case "text" | "thinking" as member:
                block[member] = f"{block.get(member) or ''}{said}"
            case _:
                # Cut off by `max_tokens` it is still the model's answer.
                block["input"] = from_json(said, allow_partial=True)
