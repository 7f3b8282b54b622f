"""The words by which a waiting checkpoint is found: those of its subject, as the query's are read. Pure.

They are told apart here and not by PostgreSQL's parser, so that every store finds the same.
"""

from __future__ import annotations

import re
from typing import Any
from unicodedata import normalize

MOST_CHARACTERS = 2_000
"""Characters of a subject that are searched, from its beginning. What is longer is not read to its end."""

MOST_WORDS = 100
"""Different words of a subject that are kept, the first ones: each is an entry of an index."""

_WORDS = re.compile(r"\w{1,64}").findall
"""The words of a text. What is longer than a word may be is several."""


def words_of(text: str) -> tuple[str, ...]:
    """Return the different words of a text in the order they come, without case and in one form of Unicode."""
    alike = text.lower() if text.isascii() else normalize("NFKC", text).casefold()
    return tuple(dict.fromkeys(_WORDS(alike)))


def subject_words(subject: dict[str, Any]) -> tuple[str, ...]:
    """Return the words of all strings in a subject, MOST_WORDS at most. Names of members are none."""
    parts: list[str] = []
    _collect(subject, parts, MOST_CHARACTERS)
    return words_of("\n".join(parts))[:MOST_WORDS]


def is_found(words: tuple[str, ...], query: tuple[str, ...]) -> bool:
    """Return whether each word of the query begins one of the words."""
    return all(any(word.startswith(asked) for word in words) for asked in query)


def _collect(values: dict[str, Any] | list[Any], parts: list[str], left: int) -> int:
    """Add strings to `parts`, `left` characters at most; return how many are left."""
    for value in values.values() if isinstance(values, dict) else values:
        if left <= 0:
            break
        if isinstance(value, str):
            parts.append(value[:left])
            left -= len(value) + 1
        elif isinstance(value, (dict, list)):
            left = _collect(value, parts, left)
    return left
