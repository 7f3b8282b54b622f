"""The ports of the worker's core. Names no driver."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from artifacts.store import Artifact
from contracts.providers.call_stream import StopCall
from contracts.providers.orders import ExecuteOrder, PrepareOrder
from messaging.offset_committer import SentBatch
from messaging.records import Outgoing, RawRecord

BatchHandler = Callable[[Sequence[RawRecord]], Awaitable[None]]


CallOrder: TypeAlias = ExecuteOrder | PrepareOrder
"""An order by which a call is made, one that prepares and calls in one among them."""


class Claims(Protocol):
    """At most one begin, and one end, of each call among all workers.

    A claim is kept for 7 days. An order's deadline passes long before that.
    """

    async def claim(self, orders: Sequence[CallOrder | StopCall], token: str) -> set[tuple[str, str, int]]:
        """Return the (tenant, work_id, attempt) that `token` may begin; the others are claimed already.

        Idempotent for the same orders and token. Raises DatabaseUnavailable.
        """
        ...

    async def release(self, orders: Sequence[CallOrder], token: str) -> None:
        """Give up the claims of `token` on calls that did not begin: another worker may. Raises DatabaseUnavailable."""
        ...


class TenantArtifacts(Protocol):
    """The artifacts of one tenant. Every method raises DatabaseUnavailable."""

    async def find(self, ref: str) -> Artifact | None:
        """Return the artifact that `ref` names, without its bytes."""
        ...

    async def read(self, ref: str) -> tuple[Artifact, bytes] | None:
        """Return the artifact that `ref` names, with its bytes."""
        ...

    async def keep(self, body: bytes, media_type: str) -> str:
        """Store `body` and return its ref."""
        ...


class Artifacts(Protocol):
    """The artifacts of all tenants."""

    def of(self, tenant: str) -> TenantArtifacts:
        """Return the artifacts of one tenant."""
        ...


class Publisher(Protocol):
    """Sends records to Kafka."""

    async def send(self, record: Outgoing) -> None:
        """Return when all replicas have `record`; retry while Kafka is unavailable. Raises KafkaError after the last try."""
        ...

    async def try_to_send(self, record: Outgoing) -> None:
        """Try once; return when all replicas have `record`. Raises KafkaError."""
        ...


class Transport(Protocol):
    """The worker's side of Kafka: orders and stops come in, records go out, offsets are committed."""

    @property
    def publisher(self) -> Publisher:
        """The way out."""
        ...

    async def start(self) -> None:
        """Connect the publisher; wait while Kafka is unavailable."""
        ...

    async def receive(self, on_orders: BatchHandler, on_stops: BatchHandler) -> None:
        """Begin to hand over batches of `provider.work` and `provider.stops`."""
        ...

    async def confirm(self, taken: SentBatch) -> None:
        """Let the offsets of a batch of orders be committed once its sends have arrived."""
        ...

    async def check(self) -> None:
        """Raise unless orders are being received."""
        ...

    async def settle(self) -> None:
        """Commit the offsets of everything that was confirmed."""
        ...

    async def stop_receiving(self) -> None:
        """Hand over no further batch."""
        ...

    async def close(self) -> None:
        """Disconnect the publisher."""
        ...
