"""What the gateway needs from outside: a store for its read model, with a writing and a reading side, and a way to send."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from gateway.projection.rows import Changes, Known
from messaging.records import Outgoing


class Away(Exception):
    """The database does not answer, or cannot now."""


class Unfit(Exception):
    """The database refuses these values, and always will."""


SendAll = Callable[[Sequence[Outgoing]], Awaitable[Sequence[asyncio.Future[Any]]]]
"""Hands records to Kafka in order; the futures end when it has them."""


class Tables(Protocol):
    """The writing side."""

    async def load(self, run_ids: Iterable[UUID]) -> dict[UUID, Known]:
        """Return what is known of each of these runs. Raises Away."""

    async def write(self, changes: Changes) -> set[UUID]:
        """Write a batch at once. Return the runs that were not moved, for they are not as the batch found them: load, fold again.

        Raises Away, Unfit.
        """


class Run(NamedTuple):
    """A run as it is shown; the view is JSON."""

    version: int
    state: str
    view: bytes


class StepEvent(NamedTuple):
    """An event as it is recorded, in JSON."""

    version: int
    kind: str
    record: bytes


class Place(NamedTuple):
    """Where a page ended: the next begins behind it."""

    at: datetime
    id: UUID


class Page(NamedTuple):
    """Views in JSON, and the place of the last one if more follow."""

    views: list[bytes]
    end: Place | None


class Views(Protocol):
    """The reading side, bound to a tenant. Every method raises Away."""

    async def run(self, tenant: str, run_id: UUID) -> Run | None:
        """Return one run, or None."""

    async def history(self, tenant: str, run_id: UUID, after: int, limit: int) -> list[StepEvent]:
        """Return events of a run behind the version `after`, in order, as far as its row has come."""

    async def runs(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        state: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
    ) -> Page:
        """Return a page of runs, newest first."""

    async def pending(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        step: str | None = None,
        assignee: str | None = None,
        group: str | None = None,
        session_id: str | None = None,
    ) -> Page:
        """Return a page of the runs with a checkpoint that waits, oldest checkpoint first."""
