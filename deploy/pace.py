"""Print how often this interpreter goes through a loop in 50 ms. One that was built without optimisation does a fifth less.

Run by the set-up with each Python that it may take, so it fails in one that does not fit: too old, or without `venv`.
"""

import ensurepip  # noqa: F401 - an environment cannot be made without it
import sys
import time
import venv  # noqa: F401

if sys.version_info < (3, 11):  # noqa: UP036 - it is run with whatever there is
    sys.exit(1)
kept: dict[int, int] = {}
end, rounds = time.process_time() + 0.05, 0
while time.process_time() < end:
    for number in range(1000):
        kept[number & 255] = kept.get(number & 127, number) ^ number
    rounds += 1
print(rounds)
