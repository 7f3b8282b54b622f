"""Providers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from provider_worker.providers.base import Answer, Audit, Call
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.testing.memory import MemoryPublisher


class GatedProvider(SandboxProvider):
    """A provider whose calls wait until `gate` opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self._changed = asyncio.Event()

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Wait at the gate, then answer."""
        self.begun.append(call.key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self._changed.set()
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        return await super().execute(payload, call)

    async def until_begun(self, number: int) -> None:
        """Return once so many calls were begun."""
        while len(self.begun) < number:
            self._changed.clear()
            await self._changed.wait()


class ResumableProvider(SandboxProvider):
    """A provider that can be asked about its calls.

    `bought` are the calls that it was asked to make, `published` the number of records that were out at each of them.
    """

    def __init__(self, publisher: MemoryPublisher) -> None:
        super().__init__()
        self.bought: list[str] = []
        self.published: list[int] = []
        self._publisher = publisher

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Buy, unless there is a call to ask about, and note its id."""
        if call.resume is None:
            self.bought.append(f"job-{len(self.bought) + 1}")
            await call.note(self.bought[-1])
        self.published.append(len(self._publisher.commands))
        return await super().execute(payload, call)


class BrokenProvider(SandboxProvider):
    """A provider full of bugs."""

    async def create_payload(self, *_: Any) -> dict[str, Any]:
        """Break."""
        raise RuntimeError("key sk-a-very-secret-key")

    async def audit_response(self, *_: Any) -> Audit:
        """Break."""
        raise RuntimeError("key sk-a-very-secret-key")
