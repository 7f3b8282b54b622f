"""What is done to a stage while people work on it: one function each, and the list of them all by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.load import Load
from chaos.stage import Stage


@dataclass(frozen=True)
class Fault:
    """A fault by the name it has in the table. `do` returns when it is over, and leaves everything standing."""

    name: str
    do: Callable[[Stage, Load], Awaitable[None]]
