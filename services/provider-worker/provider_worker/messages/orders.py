"""Reads and names orders, and remembers those that began lately."""

from __future__ import annotations

import math
from typing import Any

from cachetools import FIFOCache
from pydantic import TypeAdapter

from contracts.json_values import digest
from contracts.message import StoredIdentifier
from contracts.providers.call import Preparation
from contracts.providers.call_stream import HoldCall, StopCall
from contracts.providers.orders import CheckOrder, ExecuteOrder, Order, PrepareOrder, parse_order
from provider_worker.errors import WorkerError

Key = tuple[str, str, int]
"""(tenant, work_id, attempt): the key of a call's claim."""

MOST_SEEN = 5_000
"""More than the orders whose offsets may be uncommitted: only those can come again to the same process."""

_COMMON = (PrepareOrder.model_fields.keys() & ExecuteOrder.model_fields.keys()) - {"kind", "doubted"}
"""The members of every order."""

_MAX_ATTEMPT = 2**31 - 1
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(StoredIdentifier)


class UnusableOrder(WorkerError, ValueError):
    """An order has a member that cannot be stored or waited for."""


def read_order(body: bytes) -> Order:
    """Read one record of `provider.work`, as strictly as its claim and its answer need it. Raises ValueError."""
    order = parse_order(body)
    _IDENTIFIER.validate_python(order.tenant)
    _IDENTIFIER.validate_python(order.work_id)
    if order.attempt > _MAX_ATTEMPT:
        raise UnusableOrder(f"attempt: {order.attempt} is too large")
    if not (math.isfinite(order.lease_seconds) and order.lease_seconds > 0):
        raise UnusableOrder(f"lease_seconds: {order.lease_seconds} is no duration")
    return order


def version_of(work_id: str) -> int:
    """Return the version of its run at which an order was given, as its id says; 0 for an id of another form."""
    number = work_id.rpartition(".")[2]
    return int(number) if number.isdecimal() else 0


def order_key(order: Order | HoldCall | StopCall) -> Key:
    """Return the key of the claim of an order's call."""
    return (order.tenant, order.work_id, order.attempt)


def call_of(order: PrepareOrder, prepared: Preparation) -> ExecuteOrder:
    """Return the call of a prepared payload, under the order to prepare it."""
    return ExecuteOrder(
        **{name: getattr(order, name) for name in _COMMON},
        provider=prepared.provider,
        model=prepared.model,
        operation=prepared.operation,
        payload=prepared.payload,
        payload_sha256=digest(prepared.payload),
    )


def is_doubted(order: Order) -> bool:
    """Return whether an order was given before, and what became of it is not known."""
    return isinstance(order, ExecuteOrder | PrepareOrder) and order.doubted


def provider_of(order: Order) -> str:
    """Return the provider that an order names."""
    match order:
        case PrepareOrder():
            return order.intent.provider
        case CheckOrder() | ExecuteOrder():
            return order.provider


def log_fields(order: Order) -> dict[str, Any]:
    """Return the fields that name an order in a log line."""
    return {"kind": order.kind, "run_id": str(order.run_id), "work_id": order.work_id, "attempt": order.attempt}


class RecentOrders:
    """The orders that this process began lately. It spares useless work; the claims decide whether a call may begin."""

    def __init__(self, most: int = MOST_SEEN) -> None:
        self._keys: FIFOCache[tuple[str, Key], None] = FIFOCache(most)

    def __contains__(self, order: Order) -> bool:
        return (order.kind, order_key(order)) in self._keys

    def add(self, order: Order) -> None:
        """Remember `order`, and forget the oldest one beyond the bound."""
        self._keys[order.kind, order_key(order)] = None

    def forget(self, order: Order) -> None:
        """Forget `order`, which did not begin here."""
        self._keys.pop((order.kind, order_key(order)), None)
