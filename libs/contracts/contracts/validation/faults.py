"""What does not validate: each fault with its place, its code and its words. Values that were sent are not repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contracts.json_pointer import pointer
from contracts.message import PATTERNS
from contracts.validation.names import member_names, nearest
from contracts.validation.words import words_of

MOST_FAULTS = 1_000
"""Faults that one line tells."""

_MOST_SUGGESTIONS = 10
"""Unknown names of one value for which a known one is looked for: each takes 0.04 ms."""


class Fault(NamedTuple):
    """One thing that is wrong. `inside` is the rest of the way into a value that is one to Pydantic."""

    places: tuple[str | int, ...]
    inside: str
    code: str
    message: str

    @property
    def path(self) -> str:
        """The pointer to what is wrong."""
        return pointer(self.places) + self.inside


def faults_of(error: ValidationError, kind: Any = None, most: int | None = None) -> list[Fault]:
    """Return the first faults of a value. With its `kind` (a model, or a type made of models) an unknown name is told the nearest known one."""
    return faults_in(error.errors(include_url=False, include_input=False)[:most], kind)


def faults_in(errors: Sequence[ErrorDetails | Mapping[str, Any]], kind: Any = None) -> list[Fault]:
    """Return errors of Pydantic as faults.

    A list whose items are refused has none of them to Pydantic, and so too few: that is an echo, and left out.
    """
    inner = {error["loc"][:length] for error in errors for length in range(len(error["loc"]))}
    told = [error for error in errors if error["type"] != "too_short" or error["loc"] not in inner]
    unknown = islice((error for error in told if error["type"] == "extra_forbidden" and kind), _MOST_SUGGESTIONS)
    meant = {error["loc"]: _meant(kind, error["loc"]) for error in unknown}
    return [_fault(error, meant.get(error["loc"], "")) for error in told]


def explain(error: ValidationError, under: str = "", kind: Any = None) -> str:
    """Say in one line what did not validate and where. `under` is the pointer to the value, `kind` what it should be.

    More than MOST_FAULTS are counted and not told: telling takes longer than reading.
    """
    if (count := error.error_count()) > MOST_FAULTS:
        return f"{under}: {count} things are wrong" if under else f"{count} things are wrong"
    found = [(under + fault.path, fault.message) for fault in faults_of(error, kind)]
    return "; ".join(f"{path}: {said}" if path else said for path, said in found)


def _fault(error: ErrorDetails | Mapping[str, Any], meant: str) -> Fault:
    said = words_of(error, PATTERNS)
    # The check that refuses such a value (`contracts.json_values`, `wrong_at`) says where inside it is wrong.
    path = error.get("ctx", {}).get("path")
    inside = path if isinstance(path, str) else ""
    return Fault(tuple(error["loc"]), inside, str(error["type"]), said.removeprefix(f"{path}: ") + meant)


def _meant(kind: Any, places: Sequence[str | int]) -> str:
    near = nearest(str(places[-1]).lower(), member_names(kind, places[:-1]))
    return f"; did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else ""
