"""How large a regular expression is: how many places a matcher may stand at, which each character of a text costs. Matches nothing."""

from __future__ import annotations

import re
from functools import lru_cache

_TOKEN = re.compile(
    r"\\(?:[pPuxk](?:\{[^}]*+\}|[0-9A-Fa-f]{1,4})?|.)"  # an escape
    r"|\[\^?\]?(?:\\.|[^\]\\])*+\]"  # a class
    r"|\((?:\?[^:)=!<]*[:=!<]?)?|\)"
    r"|[*+?][?+]?|\{(?P<least>\d+)(?:,(?P<most>\d*))?\}[?+]?"
    r"|[\s\S]"
)

LARGEST = 10**6


@lru_cache(maxsize=1024)
def places(pattern: str) -> int:
    """Return the places of a pattern with its counted repetitions written out, LARGEST at most."""
    around: list[int] = []
    here, last = 1, 0
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        if text.startswith("("):
            around.append(here)
            here, last = 0, 0
        elif text == ")":
            last, here = here, (around.pop() if around else 0) + here
        elif token["least"] is not None:
            times = max(int(token["least"][:7]), int((token["most"] or "0")[:7]), 1)
            here += last * (times - 1)
            last *= times
        elif text[0] not in "*+?|^$":
            here, last = here + 1, 1
        here, last = min(here, LARGEST), min(last, LARGEST)
    return min(here + sum(around), LARGEST)
