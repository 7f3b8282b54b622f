"""Reading orders, naming them, and remembering which were begun lately."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

from pydantic import TypeAdapter

from contracts.message import Identifier
from contracts.providers.call_stream import StopCall
from contracts.providers.orders import ExecuteOrder, Order, PrepareOrder, parse_order

Key = tuple[str, str, int]
"""(tenant, work_id, attempt): what a call is claimed under."""

MOST_SEEN = 5_000
"""More than the orders whose offsets may not be committed yet, and those alone can come again to the same process."""

_MAX_ATTEMPT = 2**31 - 1
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


class UnusableOrder(ValueError):
    """The order has a member that cannot be stored or waited for."""


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


def key_of(order: Order | StopCall) -> Key:
    """Return what the call of an order is claimed under."""
    return (order.tenant, order.work_id, order.attempt)


def provider_of(order: Order) -> str:
    """Return the provider that an order names."""
    match order:
        case PrepareOrder():
            return order.intent.provider
        case ExecuteOrder():
            return order.provider


def log_fields(order: Order) -> dict[str, Any]:
    """Return what names an order in a log line."""
    return {"kind": order.kind, "run_id": str(order.run_id), "work_id": order.work_id, "attempt": order.attempt}


class RecentOrders:
    """The orders begun lately by this process. It spares useless work; whether a call may be begun is the claims' business."""

    def __init__(self, most: int = MOST_SEEN) -> None:
        self._keys: OrderedDict[tuple[str, Key], None] = OrderedDict()
        self._most = most

    def add(self, order: Order) -> None:
        """Remember `order`, and forget the one longest ago."""
        self._keys[order.kind, key_of(order)] = None
        if len(self._keys) > self._most:
            self._keys.popitem(last=False)

    def forget(self, order: Order) -> None:
        """Forget `order`, which was not begun after all."""
        self._keys.pop((order.kind, key_of(order)), None)

    def has(self, order: Order) -> bool:
        """Say whether `order` was begun here."""
        return (order.kind, key_of(order)) in self._keys
