"""The query of a request's address: what no model of parameters can see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

REPEATED = "a parameter is given once"


def repeated(query: Iterable[tuple[str, str]]) -> list[str]:
    """Return the names that a query gives more than once."""
    return [name for name, count in Counter(name for name, _ in query).items() if count > 1]
