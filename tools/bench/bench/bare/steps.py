"""The one course that every run takes: five commands, and what follows from each. Knows nothing of how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

Json = dict[str, Any]
Headers = list[tuple[str, bytes]]

IS_JSON: Headers = [("content-type", b"application/json")]

REPLY_TO = 0
"""The partition of `run.outcomes` that the one gateway reads."""


@dataclass(frozen=True)
class Step:
    """A command, and what follows: events, perhaps an order to the worker, perhaps an answer to whoever asked."""

    command: Json
    events: Sequence[Json]
    order: Json | None
    outcome: Json | None


def filled(template: Json, said: Json) -> Json:
    """Return `template` with what `said` has under the same names."""
    return {name: said.get(name, value) for name, value in template.items()}


def write(steps: Sequence[Step], path: Path) -> None:
    """Write steps for other processes."""
    path.write_bytes(to_json([asdict(step) for step in steps]))


def read(path: Path) -> list[Step]:
    """Read what `write` wrote."""
    return [Step(**said) for said in from_json(path.read_bytes())]
