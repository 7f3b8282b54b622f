"""Names of settings, judged: which are unknown, and what was probably meant. Pure; it knows no value."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches

from contracts.validation.names import ALIKE, nearest

PREFIX = "SAYSO_"

FORMER_PREFIX = "COUNTERSIGN_"
"""What settings began with under the product's first name."""

_OF_OTHERS = frozenset({"DATABASE_USER"})
"""Names in wide use that resemble one of ours."""


def unknown_name(given: Iterable[str], known: Collection[str]) -> str | None:
    """Return one line for the first name that has our prefix and is no setting, None where there is none."""
    for name in sorted(given):
        upper = name.upper()
        if upper.startswith(FORMER_PREFIX):
            return f"{name}: this setting is called {PREFIX}{upper.removeprefix(FORMER_PREFIX)} now"
        if upper.startswith(PREFIX) and upper not in known:
            return f"{name}: no such setting; {_meant(upper, known)}"
    return None


def doubtful_names(given: Iterable[str], known: Collection[str]) -> Iterator[str]:
    """Yield one line for each name without our prefix that is a slip of a setting's name, which is not given itself.

    An environment has thousands of names of others: there, only a slip counts.
    """
    names = {name.upper(): name for name in given}
    for upper in sorted(names.keys() - known - _OF_OTHERS):
        if upper.startswith((PREFIX, FORMER_PREFIX)):
            continue
        for near in get_close_matches(upper, known, n=1, cutoff=ALIKE):
            if near not in names:
                yield f"{names[upper]} is no setting and has no effect; did you mean {near}?"


def _meant(upper: str, known: Collection[str]) -> str:
    names = {name.removeprefix(PREFIX): name for name in known}
    near = [names[name] for name in nearest(upper.removeprefix(PREFIX), names)]
    if not near:
        return f"known are {', '.join(sorted(known))}"
    return f"did you mean {' or '.join(near)}?"
