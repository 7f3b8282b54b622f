"""Texts of a server: the words of a page, the wait that a sentence asks for, and what no person is shown."""

from __future__ import annotations

import html
import math
import re

LONGEST = 600
"""Characters of a server's words that a person is shown."""

_LONGEST_SECRET = 300

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PERIOD = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|millis\w*|s|sec\w*|m|min\w*|h|hours?)(?![a-z])", re.IGNORECASE)
_SAID_WAIT = re.compile(
    r"(?:again|retry|resets?|wait) (?:in|after|for)? ?~?((?:\d+(?:\.\d+)?\s*[a-z]+\s*)+)", re.IGNORECASE
)

_TAG = re.compile(r"<([^<>]*)>")
_UNSHOWN = ("script", "style", "head")
_KEYS = re.compile(r"\S*\*{3,}\S*|\b(?:sk|pk|r8|hf|gsk|xai)[-_]\S+")
"""Keys that a server repeats: masked, or by the beginnings that the vendors give them."""


def page_text(page: str) -> str:
    """Return the words of a page: its title and its text. In one pass: a page may be made to take long."""
    words: list[str] = []
    hidden = shown_inside = ""
    for number, piece in enumerate(_TAG.split(page)):
        if number % 2 == 0:
            if not hidden or shown_inside:
                words.append(piece)
            continue
        name = piece.split(maxsplit=1)[0].lower() if piece.strip() else ""
        if hidden:
            shown_inside = "title" if name == "title" else "" if name == "/title" else shown_inside
            hidden = "" if name == f"/{hidden}" else hidden
        elif name in _UNSHOWN:
            hidden = name
    return " ".join(html.unescape(" ".join(words)).split()) or " ".join(page.split())


def cut(said: str) -> str:
    """Return the beginning of a text. It ends between two words, so that no half of a key is left that would not be known for one."""
    if len(said) <= LONGEST:
        return said
    head = said[: LONGEST - 1]
    end = max(head.rfind(mark) for mark in (" ", "\n", '"', "'"))
    return f"{head[:end] if end > LONGEST - _LONGEST_SECRET else head}…"


def wait_in(said: str) -> float | None:
    """Return the seconds that a sentence asks to wait: `Please try again in 1m2.5s`."""
    told = _SAID_WAIT.search(said)
    return seconds(told[1]) if told else None


def seconds(value: str | float) -> float | None:
    """Return a number, or a period such as `1m2.5s`, in seconds."""
    if is_number(value):
        number = max(float(value), 0.0)
        return number if math.isfinite(number) else None
    parts = _PERIOD.findall(str(value))
    if not parts:
        return None
    return sum(
        float(number) * _UNITS["ms" if unit.lower().startswith(("ms", "mil")) else unit[0].lower()]
        for number, unit in parts
    )


def is_number(value: str | float) -> bool:
    """Return whether a value is a number, or a text that is one."""
    return not isinstance(value, str) or re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", value) is not None


def without(said: str, secrets: list[str]) -> str:
    """Return words without the keys that a server repeats, whole or masked."""
    for secret in secrets:
        said = said.replace(secret, "[hidden]")
    return _KEYS.sub("[hidden]", said)
