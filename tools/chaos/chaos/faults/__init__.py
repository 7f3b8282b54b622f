"""Faults: what is injected into a stage while clients work on it. `groups` lists them all by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from chaos.clients.load import Load
from chaos.system.stage import Stage


@dataclass(frozen=True)
class Fault:
    """A fault by its name in the table. `inject` returns when the fault is over and everything runs again."""

    name: str
    inject: Callable[[Stage, Load], Awaitable[None]]
