"""What the worker needs from outside, as its core sees it. Names no driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from artifacts.store import Artifact
from contracts.providers.call_stream import StopCall
from contracts.providers.orders import ExecuteOrder
from messaging.records import Outgoing


class StorageUnavailable(Exception):
    """The database does not answer."""


class Claims(Protocol):
    """Who may begin a call, or end one: at most one in the whole world.

    What was claimed is forgotten after 7 days and could be claimed anew, but by then an order's deadline has long passed.
    """

    async def claim(self, orders: Sequence[ExecuteOrder | StopCall], token: str) -> set[tuple[str, str, int]]:
        """Return the (tenant, work_id, attempt) that `token` may begin; the others were begun already.

        Saying the same orders with the same token again gives the same answer. Raises StorageUnavailable.
        """
        ...


class TenantArtifacts(Protocol):
    """The artifacts of one tenant. Every method raises StorageUnavailable."""

    async def find(self, ref: str) -> Artifact | None:
        """Return what `ref` names, without its bytes."""
        ...

    async def read(self, ref: str) -> tuple[Artifact, bytes] | None:
        """Return what `ref` names, with its bytes."""
        ...

    async def keep(self, body: bytes, media_type: str) -> str:
        """Keep `body` and return its ref."""
        ...


class Artifacts(Protocol):
    """The artifacts of all tenants."""

    def of(self, tenant: str) -> TenantArtifacts:
        """Return the artifacts of one tenant."""
        ...


class Publisher(Protocol):
    """The way to Kafka."""

    async def send(self, record: Outgoing) -> None:
        """Return when all replicas have `record`, however long Kafka is away; raise KafkaError when waiting seems no use."""
        ...

    async def try_to_send(self, record: Outgoing) -> None:
        """Return when all replicas have `record`. Raises KafkaError."""
        ...
