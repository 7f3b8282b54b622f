"""The steps of every bare run: five commands, each with its events, order and outcome, as templates."""

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
    """A command with its events, its order to the worker and its outcome, if any."""

    command: Json
    events: Sequence[Json]
    order: Json | None
    outcome: Json | None


def filled(template: Json, members: Json) -> Json:
    """Return `template` with the members of the same names."""
    return {name: members.get(name, value) for name, value in template.items()}


def write(steps: Sequence[Step], path: Path) -> None:
    """Write steps for the bare processes."""
    path.write_bytes(to_json([asdict(step) for step in steps]))


def read(path: Path) -> list[Step]:
    """Read the steps that `write` wrote."""
    return [Step(**step) for step in from_json(path.read_bytes())]
