"""Assembles the chunks of a streamed chat completion into the same object as an unstreamed answer.

Each vendor's client reads the chunks: they come parsed, and its failures come as ProviderError.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from provider_worker.providers.answers.identity import place_of
from provider_worker.providers.base import ProviderError
from provider_worker.providers.chat_completions.messages import text_of
from provider_worker.providers.chat_completions.pieces import MessagePieces, join, plain
from provider_worker.providers.chat_completions.prices import usage_in
from provider_worker.providers.chat_completions.responses import is_flagged
from provider_worker.providers.http.errors.failures import error_in, half_heard, of_error, unended
from provider_worker.providers.progress import Progress

MOST_UNREAD = 100
"""Chunks of other protocols that are kept for a person, should the answer not be complete."""

_OF_CHOICES = {"index", "delta", "message", "logprobs", "content_filter_results"}

_Object = dict[str, Any]


async def gather_chat(chunks: AsyncIterable[Any], progress: Progress) -> _Object:
    """Return the completion of the `chunks`; `progress` gets text and usage meanwhile, and holds what came.

    Raises ProviderError. A retryable failure is uncertain once a part of the answer has come, since that part is paid for.
    """
    completion = _Completion()
    progress.hold(completion.received)
    try:
        async for chunk in chunks:
            completion.add(chunk, progress)
        return completion.whole()
    except ProviderError as error:
        raise ProviderError(half_heard(error.failure) if completion.is_heard else error.failure) from error


class _Completion:
    """The chunks so far. A chunk that is none of the protocol adds nothing."""

    def __init__(self) -> None:
        self.is_heard = False
        self._members: _Object = {}
        self._choices: dict[int, _Object] = {}
        self._messages: dict[int, MessagePieces] = {}
        self._unread: list[Any] = []

    def add(self, chunk: Any, progress: Progress) -> None:
        """Add a chunk. Raises ProviderError when it reports an error."""
        if (error := error_in(chunk, in_stream=True)) is not None:
            raise ProviderError(of_error(error))
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        if not isinstance(choices, list) and len(self._unread) < MOST_UNREAD:
            self._unread.append(chunk)
        if not isinstance(chunk, dict):
            return
        usage = usage_in(chunk)
        told = {name: value for name, value in chunk.items() if name not in ("choices", "usage") and value is not None}
        self._members |= told | ({"usage": usage} if usage else {})
        progress.use(usage)
        for place, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                self._add_choice(choice, place, progress)

    def whole(self) -> _Object:
        """Return the completion. Raises ProviderError when its end was not among the chunks."""
        if not self._choices or not self._choices[min(self._choices)].get("finish_reason"):
            raise ProviderError(unended())
        return self._completion()

    def received(self) -> Any:
        """Return what came of the completion, whether or not it is complete; None where nothing did."""
        if not self.is_heard and "usage" not in self._members and not self._unread:
            return None
        unread = {"unread": self._unread} if self._unread else {}
        return {**self._completion(), **unread}

    def _completion(self) -> _Object:
        choices = [
            {**plain(self._choices[index]), "message": self._messages[index].whole()} for index in sorted(self._choices)
        ]
        return {**self._members, "object": "chat.completion", "choices": choices}

    def _add_choice(self, choice: _Object, place: int, progress: Progress) -> None:
        named = place_of(choice.get("index"))
        index = place if named is None else named
        kept = self._choices.setdefault(index, {"index": index})
        said = self._add_message(index, choice)
        self.is_heard = self.is_heard or any(value for name, value in said.items() if name != "role")
        if index == 0:
            progress.say(text_of(said.get("content")))
            progress.say(text_of(said.get("refusal")))
        _join_filters(kept, choice.get("content_filter_results"))
        join(kept, {name: choice[name] for name in choice.keys() & {"logprobs"}})
        kept |= {name: value for name, value in choice.items() if name not in _OF_CHOICES and value not in (None, "")}

    def _add_message(self, index: int, choice: _Object) -> _Object:
        """Add the choice's delta, and return what is new. Some servers end with the whole message in place of a delta."""
        pieces = self._messages.setdefault(index, MessagePieces())
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict):
            pieces.add(delta)
            return delta
        if not isinstance(message, dict):
            return {}
        before, text = text_of(pieces.whole()["content"]), text_of(message.get("content"))
        if text.startswith(before):
            self._messages[index] = pieces = MessagePieces()
        pieces.add(message)
        return {**message, "content": text.removeprefix(before)}


def _join_filters(choice: _Object, results: Any) -> None:
    """Keep a content filter's last result of each category; a harmless one does not replace a flagged one."""
    if isinstance(results, dict):
        kept = choice.setdefault("content_filter_results", {})
        kept |= {name: result for name, result in results.items() if not is_flagged(kept.get(name))}
