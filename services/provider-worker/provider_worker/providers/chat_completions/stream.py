"""Assembles the chunks of a streamed chat completion into the same object as an unstreamed answer.

Each vendor's client reads the chunks: they come parsed, and its failures come as ProviderError.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import Any

from provider_worker.providers.base import ProviderError
from provider_worker.providers.chat_completions.responses import is_flagged, text_of
from provider_worker.providers.http.failures import error_in, half_heard, of_error, unended
from provider_worker.providers.payload_schema import at
from provider_worker.providers.progress import Progress

_WHOLE = ("role", "id", "type", "name")
"""Members that a server sends whole, once or with every chunk; all other texts come in pieces."""

_Object = dict[str, Any]


async def gather_chat(chunks: AsyncIterable[Any], progress: Progress) -> _Object:
    """Return the completion of the `chunks`; `progress` gets text and usage meanwhile.

    Raises ProviderError. A retryable failure is uncertain once a part of the answer has come, since that part is paid for.
    """
    completion = _Completion()
    try:
        async for chunk in chunks:
            completion.add(chunk, progress)
        return completion.whole()
    except ProviderError as error:
        raise ProviderError(half_heard(error.failure) if completion.is_heard else error.failure) from error


class _Completion:
    """The chunks so far. A chunk that is no object is skipped."""

    def __init__(self) -> None:
        self.is_heard = False
        self._members: _Object = {}
        self._choices: dict[int, _Object] = {}

    def add(self, chunk: Any, progress: Progress) -> None:
        """Add a chunk. Raises ProviderError when it reports an error."""
        if not isinstance(chunk, dict):
            return
        if (error := error_in(chunk, in_stream=True)) is not None:
            raise ProviderError(of_error(error))
        self._members |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        if isinstance(chunk.get("usage"), dict):
            progress.use(chunk["usage"])
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._add_choice(choice, progress)

    def whole(self) -> _Object:
        """Return the completion. Raises ProviderError when its end was not among the chunks."""
        choices = [self._choices[index] for index in sorted(self._choices)]
        if not choices or not choices[0].get("finish_reason"):
            raise ProviderError(unended())
        return {**self._members, "object": "chat.completion", "choices": [_plain(choice) for choice in choices]}

    def _add_choice(self, choice: _Object, progress: Progress) -> None:
        index = choice["index"] if isinstance(choice.get("index"), int) else 0
        kept = self._choices.setdefault(index, {"index": index, "message": {"role": "assistant", "content": None}})
        delta = choice["delta"] if isinstance(choice.get("delta"), dict) else {}
        _join(kept["message"], delta)
        self.is_heard = self.is_heard or any(value for name, value in delta.items() if name != "role")
        if index == 0:
            progress.say(text_of(delta.get("content")))
            progress.say(text_of(delta.get("refusal")))
        _join_filters(kept, choice.get("content_filter_results"))
        _join(kept, {name: choice[name] for name in choice.keys() & {"logprobs"}})
        told = {"index", "delta", "logprobs", "content_filter_results"}
        kept |= {name: value for name, value in choice.items() if name not in told and value is not None}


class _Text:
    """A text that grows: to join it with every piece anew would take time by the square of its length."""

    def __init__(self, piece: str) -> None:
        self.pieces = [piece]


def _join(whole: _Object, piece: Mapping[str, Any]) -> None:
    """Join a piece to an object: texts and lists grow, objects are joined, whole members are replaced."""
    for name, value in piece.items():
        match whole.get(name), value:
            case kept, None:
                whole[name] = kept
            case _Text() as kept, str():
                kept.pieces.append(value)
            case None, str() if name not in _WHOLE:
                whole[name] = _Text(value)
            case (dict() | None) as kept, dict():
                whole[name] = kept or {}
                _join(whole[name], value)
            case (list() | None) as kept, list():
                whole[name] = kept or []
                _extend(whole[name], value)
            case kept, _ if value != "" or kept is None:
                whole[name] = value


def _extend(whole: list[Any], pieces: list[Any]) -> None:
    """Add pieces to a list: those with an `index` belong to the item of the same one, all others are items of their own."""
    for piece in pieces:
        if not isinstance(piece, dict) or "index" not in piece:
            whole.append(piece)
            continue
        same = next((item for item in whole if at(item, ["index"]) == piece["index"]), None)
        if same is None:
            whole.append(same := {})
        _join(same, piece)


def _join_filters(choice: _Object, results: Any) -> None:
    """Keep a content filter's last result of each category; a harmless one does not replace a flagged one."""
    if isinstance(results, dict):
        kept = choice.setdefault("content_filter_results", {})
        kept |= {name: result for name, result in results.items() if not is_flagged(kept.get(name))}


def _plain(value: Any) -> Any:
    """Return the assembled value as JSON, without the list positions of tool calls."""
    match value:
        case _Text():
            return "".join(value.pieces)
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(_placeless(item)) for item in value]
    return value


def _placeless(item: Any) -> Any:
    return {name: value for name, value in item.items() if name != "index"} if isinstance(item, dict) else item
