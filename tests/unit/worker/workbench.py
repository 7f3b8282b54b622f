"""A worker with everything around it in memory, and providers that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.providers.orders import Order
from contracts.topics import WORK
from messaging.offset_committer import Handed
from provider_worker.orders.consumer import OrderConsumer
from provider_worker.orders.order_handler import Dependencies
from provider_worker.providers.base import Answer, Audit, Call
from provider_worker.providers.registry import Registry
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts, MemoryClaims, MemoryPublisher


class Gated(SandboxProvider):
    """A provider whose calls wait until the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.changed = asyncio.Event()

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Wait at the gate, then answer."""
        self.begun.append(call.key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.changed.set()
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        return await super().execute(payload, call)

    async def until_begun(self, number: int) -> None:
        """Return once so many calls were begun."""
        while len(self.begun) < number:
            self.changed.clear()
            await self.changed.wait()


class Resumable(SandboxProvider):
    """A provider that can be asked about its calls: `bought` are those it was asked to make, `heard` what was known of each then."""

    def __init__(self, publisher: MemoryPublisher) -> None:
        super().__init__()
        self.bought: list[str] = []
        self.heard: list[int] = []
        self._publisher = publisher

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Buy, unless there is something to ask about, and say by which name."""
        if call.resume is None:
            self.bought.append(f"job-{len(self.bought) + 1}")
            await call.note(self.bought[-1])
        self.heard.append(len(self._publisher.commands))
        return await super().execute(payload, call)


class Broken(SandboxProvider):
    """A provider full of bugs."""

    async def create_payload(self, *_: Any) -> dict[str, Any]:
        """Break."""
        raise RuntimeError("key sk-a-very-secret-key")

    async def audit_response(self, *_: Any) -> Audit:
        """Break."""
        raise RuntimeError("key sk-a-very-secret-key")


@dataclass
class Record:
    """A record as Kafka holds it."""

    value: bytes | None
    offset: int
    topic: str = WORK.name
    partition: int = 0
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class Bench:
    """A worker with everything around it in memory."""

    provider: SandboxProvider
    most: int = 4
    claims: MemoryClaims = field(default_factory=MemoryClaims)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    taken: list[Mapping[int, int]] = field(default_factory=list)
    broken: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.worker = self.another()

    def another(self) -> OrderConsumer:
        """Make a further worker on the same claims and topics."""
        dependencies = Dependencies(
            Registry([self.provider]), self.claims, self.artifacts, self.publisher, Sanitizer(["sk-a-very-secret-key"])
        )
        return OrderConsumer(dependencies, confirm=self._confirm, on_failure=self.broken.append, most=self.most)

    async def _confirm(self, handed: SentBatch) -> None:
        self.taken.append(handed.offsets)

    async def take(self, *orders: Order | bytes, worker: OrderConsumer | None = None) -> None:
        """Hand the worker one batch."""
        bodies = [order if isinstance(order, bytes) else order.model_dump_json().encode() for order in orders]
        await (worker or self.worker).on_records([Record(body, offset) for offset, body in enumerate(bodies)])
