"""The demo's lines on the terminal, and the error that ends it."""

from __future__ import annotations

import json
import sys
import textwrap


class NotAsToldError(Exception):
    """A step went otherwise than the story says; the message says which."""


def expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - it reads as a sentence
    """Go on when it holds. Raises NotAsToldError."""
    if not holds:
        raise NotAsToldError(otherwise)


def chapter(title: str) -> None:
    """Begin a step of the story."""
    print(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}", flush=True)


def say(line: str) -> None:
    """Tell one fact."""
    print(textwrap.fill(line, 110, initial_indent="  ", subsequent_indent="    "))


def show(value: object) -> None:
    """Show JSON."""
    print(textwrap.indent(json.dumps(value, indent=2, ensure_ascii=False), "  "))
