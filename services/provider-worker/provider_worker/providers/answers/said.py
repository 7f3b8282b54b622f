"""What one answer of a model holds, in no vendor's words. Each vendor's reader makes it; `content` judges it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

NO_VALUE = object()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model calls. `arguments` are JSON in a text, or an object; those of a free call are any text."""

    shown: Any
    name: Any
    arguments: Any
    is_free: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """An answer's text, refusal, calls and media. `value` is JSON that did not come as text.

    `items` are parts that no reader knows, as they came. `rest` are members that are shown only where there is nothing else.
    """

    text: str = ""
    refusal: str = ""
    is_refused: bool = False
    calls: tuple[ToolCall, ...] = ()
    value: Any = NO_VALUE
    reasoning: str = ""
    media: Mapping[str, Any] = field(default_factory=dict)
    items: tuple[Any, ...] = ()
    rest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def beside(self) -> dict[str, Any]:
        """The members that go with every form of the answer."""
        return {**self.media, **({"items": list(self.items)} if self.items else {})}

    @property
    def unscored(self) -> dict[str, Any]:
        """What a person can look at where there is nothing that the rule of quality knows; empty where there is nothing at all."""
        items = [*self.items, *({name: value} for name, value in self.rest.items())]
        return {
            **({"reasoning": self.reasoning} if self.reasoning.strip() else {}),
            **({"items": items} if items else {}),
        }

    @property
    def readable(self) -> dict[str, Any]:
        """All that a person can read in it, without a judgement."""
        text = self.text or self.refusal
        return {
            **({"text": text} if text else {}),
            **({"refused": True} if self.refusal or self.is_refused else {}),
            **({"tool_calls": [call.shown for call in self.calls]} if self.calls else {}),
            **({} if self.value is NO_VALUE else {"json": self.value}),
            **self.media,
            **self.unscored,
        }


def words_in(value: Any) -> str:
    """Return the words of a text, a part, or a list of parts, as vendors nest them."""
    return "".join(_words(value))


_WORDS = ("text", "thinking", "reasoning", "summary", "content")


def _words(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for part in value:
                yield from _words(part)
        case Mapping():
            for name in _WORDS:
                yield from _words(value.get(name))
