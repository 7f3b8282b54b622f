"""The settings of the four bare processes, through their environment."""

from __future__ import annotations

from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Settings:
    """Addresses, and the file with the steps of a run."""

    kafka: str
    database: str
    steps: Path
    gateway_port: int
    notifier_port: int

    @classmethod
    def read(cls) -> Self:
        """Read the environment that `environment()` made."""
        return cls(
            environ["BARE_KAFKA"],
            environ["BARE_DATABASE"],
            Path(environ["BARE_STEPS"]),
            int(environ["BARE_GATEWAY_PORT"]),
            int(environ["BARE_NOTIFIER_PORT"]),
        )

    def environment(self) -> dict[str, str]:
        """Return the environment of a process."""
        return {
            "BARE_KAFKA": self.kafka,
            "BARE_DATABASE": self.database,
            "BARE_STEPS": str(self.steps),
            "BARE_GATEWAY_PORT": str(self.gateway_port),
            "BARE_NOTIFIER_PORT": str(self.notifier_port),
        }
