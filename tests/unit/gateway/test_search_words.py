"""The words by which a checkpoint is found: the same of a subject and of a query, and bounded."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given as over
from hypothesis import strategies as st

from gateway.projection.search_words import MOST_CHARACTERS, MOST_WORDS, is_found, subject_words, words_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A red, RED bicycle", ("a", "red", "bicycle")),
        ("nul\x00 and it's", ("nul", "and", "it", "s")),
        ("Straße \uff26\uff35ll", ("strasse", "full")),
        ("no_7 --- 'x':*|!(y)", ("no_7", "x", "y")),
        ("x" * 70, ("x" * 64, "x" * 6)),
        ("!!! …", ()),
    ],
)
def test_a_text_has_its_words_once(text: str, words: tuple[str, ...]) -> None:
    """Without case, in one form of Unicode, and nothing of what stands between them."""
    assert words_of(text) == words


def test_a_subject_has_the_words_of_its_strings() -> None:
    """In members, lists and objects; names of members, numbers and truth are none."""
    subject = {"prompt": "one", "deep": [{"text": "two"}, ["three", 4, True, None]], "size": {"w": 5}}
    assert subject_words(subject) == ("one", "two", "three")


def test_a_large_subject_is_searched_from_its_beginning() -> None:
    """By its first characters and its first words; what is behind them is not read."""
    assert subject_words({"a": "x " * MOST_CHARACTERS, "b": "late"}) == ("x",)
    assert len(subject_words({"a": " ".join(map(str, range(10_000)))})) == MOST_WORDS


@over(st.dictionaries(st.text(max_size=5), JSON, max_size=5))
def test_a_word_holds_nothing_that_a_store_reads_as_its_own(subject: dict[str, Any]) -> None:
    """Letters, digits and underscores alone, whatever a subject says."""
    words = subject_words(subject)
    assert all(re.fullmatch(r"\w{1,64}", word) for word in words)
    assert len(set(words)) == len(words) <= MOST_WORDS


@over(st.text(max_size=60), st.integers(1, 60))
def test_a_text_is_found_by_the_beginnings_of_its_words(text: str, size: int) -> None:
    """By each of them, and by all together; never by what it does not have."""
    words = words_of(text)
    assert is_found(words, tuple(word[:size] for word in words))
    assert not is_found(words, ("not_in_any_text_of_this_test",))
