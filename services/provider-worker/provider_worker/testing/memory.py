"""The worker's ports in memory, for tests and for programs that embed the worker. They end with the process."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from artifacts.store import Artifact
from contracts.providers.call_stream import StopCall
from contracts.runs.commands import ExtendLease, FromWorker, parse_command
from contracts.topics import COMMANDS
from messaging.records import Outgoing
from provider_worker.errors import DatabaseUnavailable
from provider_worker.messages.orders import Key, order_key
from provider_worker.ports import CallOrder


class MemoryClaims:
    """Implements `ports.Claims`. `unavailable` makes the database unreachable, `loses_answers` lets claims be made unheard."""

    def __init__(self) -> None:
        self.unavailable = False
        self.loses_answers = False
        self._asked = 0
        self._changed = asyncio.Event()
        self._holders: dict[Key, str] = {}

    async def claim(self, orders: Sequence[CallOrder | StopCall], token: str) -> set[Key]:
        """Claim orders for `token`."""
        self._asked += 1
        self._changed.set()
        if self.unavailable:
            raise DatabaseUnavailable("switched off")
        mine = {order_key(order) for order in orders if self._holders.setdefault(order_key(order), token) == token}
        if self.loses_answers:
            raise DatabaseUnavailable("the answer was lost")
        return mine

    async def release(self, orders: Sequence[CallOrder], token: str) -> None:
        """Give up claims of `token`."""
        if self.unavailable:
            raise DatabaseUnavailable("switched off")
        for order in orders:
            if self._holders.get(order_key(order)) == token:
                del self._holders[order_key(order)]

    async def until_asked(self, times: int) -> None:
        """Return once claims were asked for so often."""
        while self._asked < times:
            self._changed.clear()
            await self._changed.wait()


class MemoryArtifacts:
    """Implements `ports.Artifacts`. `unavailable` makes the database unreachable."""

    def __init__(self) -> None:
        self.unavailable = False
        self._tenants: dict[str, dict[str, tuple[Artifact, bytes]]] = {}

    def of(self, tenant: str) -> MemoryTenantArtifacts:
        """Return one tenant's artifacts."""
        return MemoryTenantArtifacts(self, self._tenants.setdefault(tenant, {}))


class MemoryTenantArtifacts:
    """Implements `ports.Artifacts`."""

    def __init__(self, artifacts: MemoryArtifacts, held: dict[str, tuple[Artifact, bytes]]) -> None:
        self._artifacts = artifacts
        self._held = held

    async def find(self, ref: str) -> Artifact | None:
        """Return the artifact that `ref` names, without its bytes."""
        found = await self.read(ref)
        return found and found[0]

    async def read(self, ref: str) -> tuple[Artifact, bytes] | None:
        """Return the artifact that `ref` names, with its bytes."""
        self._refuse_when_unavailable()
        return self._held.get(ref)

    async def keep(self, body: bytes, media_type: str) -> str:
        """Store `body` and return its ref."""
        self._refuse_when_unavailable()
        artifact = Artifact(hashlib.sha256(body).hexdigest(), len(body), media_type)
        return self._held.setdefault(artifact.ref, (artifact, body))[0].ref

    def _refuse_when_unavailable(self) -> None:
        if self._artifacts.unavailable:
            raise DatabaseUnavailable("switched off")


class MemoryPublisher:
    """Implements `ports.Publisher`. Remembers records, and lets a reader wait for them."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self._arrived = asyncio.Event()

    async def send(self, record: Outgoing) -> None:
        """Take a record."""
        self.sent.append(record)
        self._arrived.set()

    async def try_to_send(self, record: Outgoing) -> None:
        """Take a record."""
        await self.send(record)

    @property
    def commands(self) -> list[FromWorker]:
        """The commands on `run.commands` so far."""
        said = [parse_command(record.value or b"") for record in self.sent if record.topic == COMMANDS.name]
        return [command for command in said if isinstance(command, FromWorker)]

    async def until_sent(self, number: int) -> None:
        """Return once so many records were sent, to any topic."""
        while len(self.sent) < number:
            self._arrived.clear()
            await self._arrived.wait()

    async def until(self, number: int) -> list[FromWorker]:
        """Return the commands once there are `number` of them."""
        while len(self.commands) < number:
            self._arrived.clear()
            await self._arrived.wait()
        return self.commands

    async def until_answered(self, number: int) -> list[FromWorker]:
        """Return the commands once `number` of them are more than an extension of a lease."""
        while True:
            answers = [said for said in self.commands if not isinstance(said, ExtendLease)]
            if len(answers) >= number:
                return [*answers]
            self._arrived.clear()
            await self._arrived.wait()
