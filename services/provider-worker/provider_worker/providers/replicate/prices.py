"""The cost of predictions, by Replicate's counts: seconds on some hardware, tokens, or images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from contracts.providers.call import Spent
from provider_worker.providers.pricing import MILLION, MOST_COUNTED, Prices, PriceTable
from provider_worker.providers.replicate.models.model_names import of_payload


def prices_of(table: PriceTable, payload: Mapping[str, Any], raw: Any = None) -> Prices | None:
    """Return a model's prices: its own, or those of the hardware that an answer names; None where neither is known."""
    reference = of_payload(payload)
    named = table.models.get(reference.model) if reference and reference.model else None
    hardware = raw.get("hardware") if isinstance(raw, Mapping) else None
    return named or (table.models.get(hardware) if isinstance(hardware, str) else None)


def cost_of(prices: Prices | None, metrics: Any, files: int) -> Decimal | None:
    """Price the `metrics` of a prediction and its number of files, by the first price that has its count."""
    if prices is None or not isinstance(metrics, Mapping):
        return None
    tokens = [
        prices[kind] * count
        for kind in ("input", "output")
        if kind in prices and (count := _count(metrics.get(f"{kind}_token_count"))) is not None
    ]
    if tokens:
        return sum(tokens, Decimal(0)) / MILLION
    if "image" in prices and (images := _count(metrics.get("image_count")) or files):
        return prices["image"] * images
    seconds = _count(metrics.get("predict_time"))
    return prices["second"] * seconds if "second" in prices and seconds is not None else None


def spent(
    table: PriceTable, payload: Mapping[str, Any] | None, found: Mapping[str, Any], is_file: Callable[[str], bool]
) -> Spent:
    """Return the cost of a prediction that was canceled, by its own metrics; one that never ran cost nothing."""
    metrics, output = found.get("metrics"), found.get("output")
    metrics = dict(metrics) if isinstance(metrics, Mapping) else {}
    if not metrics and found.get("started_at") is None:
        return Spent(cost=Decimal(0))
    prices = prices_of(table, payload or {"model": found.get("model")}, found)
    items = output if isinstance(output, list) else [output]
    files = sum(isinstance(item, str) and is_file(item) for item in items)
    return Spent(usage=metrics, cost=cost_of(prices, metrics, files))


def estimate(prices: Prices | None, payload: Mapping[str, Any]) -> Decimal | None:
    """Estimate a prediction where its price does not hang on how long it will take."""
    if prices is None or "image" not in prices:
        return None
    given = payload.get("input")
    number = _count(given.get("num_outputs")) if isinstance(given, Mapping) else None
    return prices["image"] * (number or 1)


def _count(value: Any) -> Decimal | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_COUNTED
    return Decimal(str(value)) if is_number else None
