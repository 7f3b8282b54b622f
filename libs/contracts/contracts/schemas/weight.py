"""The weight of JSON values: what comparing them costs, and the length of their text. Each value is weighed once."""

from __future__ import annotations

from typing import Any

from contracts.json_values import MAX_SAFE_INTEGER

TEXT = 8
COMPARED = 640
"""The weight of a number with a fraction or beyond 2^53: as text, and where it is compared, which takes 4 microseconds (measured)."""

_OTHER = 8
_WORD = 64
_BEYOND_WORD = 20


def is_large(value: Any) -> bool:
    """Return whether a value is an integer beyond 2^53. Such integers hash like their neighbours, and take long to compare."""
    return type(value) is int and not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER


class Weights:
    """Weighs values; an odd number, one with a fraction or beyond 2^53, weighs `odd_number`."""

    def __init__(self, odd_number: int) -> None:
        self._odd_number = odd_number
        self._known: dict[int, int] = {}

    def of(self, value: Any) -> int:
        """Return the weight of `value`."""
        kind = type(value)
        if kind is str:
            return len(value)
        if kind is dict or kind is list:
            known = self._known.get(id(value))
            if known is None:
                inner = [*value, *value.values()] if kind is dict else value
                known = self._known[id(value)] = 2 + sum([self.of(item) for item in inner])
            return known
        return self._odd_number if kind is float or is_large(value) else _OTHER

    def choices(self, choices: Any) -> int:
        """Return the weight of comparing a scalar with `choices`. Texts alone and plain integers alone are looked up, and weigh nothing."""
        if not isinstance(choices, list) or (len({type(choice) for choice in choices}) == 1 and not _are_odd(choices)):
            return 0
        numbers = sum(type(choice) in (int, float) for choice in choices)
        return len(choices) + numbers * self._odd_number


def _are_odd(choices: list[Any]) -> bool:
    return any(isinstance(choice, float | dict | list) or is_large(choice) for choice in choices)


def likeness(value: Any) -> int:
    """Return how many numbers in `value` hash like their neighbours. One beyond 64 bits counts for many: it takes longer to compare."""
    if isinstance(value, dict | list):
        return sum([likeness(item) for item in (value.values() if isinstance(value, dict) else value)])
    return 0 if not is_large(value) else 1 if value.bit_length() < _WORD else _BEYOND_WORD
