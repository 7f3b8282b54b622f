"""The figures of shared limits, from the calls that the vendors recorded. Pure."""

from __future__ import annotations

from dataclasses import dataclass

MEASURED_SECONDS = 126.0
WINDOW_SECONDS = 60.0
REQUESTS, TOKENS, AT_ONCE = 300, 100_000, 8

Call = tuple[float, float, float]
"""When it began and ended, in seconds, and its tokens."""


@dataclass(frozen=True)
class Figure:
    """A vendor's measurement: the most in any window, and the mean, both as shares of the limit."""

    name: str
    limit: str
    calls: int
    most: float
    mean: float


def figures(openai: list[Call], anthropic: list[Call], huggingface: list[Call]) -> list[Figure]:
    """Return the three figures."""
    requests = [(began, 1.0) for began, _, _ in anthropic]
    tokens = [(began, number) for began, _, number in openai]
    return [
        _rated("requests per minute", REQUESTS, requests),
        _rated("tokens per minute", TOKENS, tokens),
        _at_once(huggingface),
    ]


def _rated(name: str, limit: int, begun: list[tuple[float, float]]) -> Figure:
    begun = sorted(begun)
    first = begun[0][0]
    windows = (
        sum(number for at, number in begun[place:] if at < began + WINDOW_SECONDS)
        for place, (began, _) in enumerate(begun)
    )
    within = sum(number for at, number in begun if at < first + MEASURED_SECONDS)
    mean = within / (limit * MEASURED_SECONDS / WINDOW_SECONDS)
    return Figure(name, f"{limit:,}", len(begun), max(windows) / limit, mean)


def _at_once(calls: list[Call]) -> Figure:
    first = min(began for began, _, _ in calls)
    last = first + MEASURED_SECONDS
    changes = sorted([(began, 1) for began, _, _ in calls] + [(ended, -1) for _, ended, _ in calls])
    running, most, busy, before = 0, 0, 0.0, first
    for at, change in changes:
        busy += running * (max(before, min(at, last)) - before)
        running, before = running + change, max(before, min(at, last))
        most = max(most, running)
    return Figure("calls at once", str(AT_ONCE), len(calls), most / AT_ONCE, busy / (AT_ONCE * MEASURED_SECONDS))
