"""The cost of Anthropic's calls, by usage and a table of prices. A model that is not in the table has no known price."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.providers.call import Spent
from provider_worker.providers.pricing import CHARACTERS_OF_A_TOKEN, MILLION, Prices, PriceTable, count
from provider_worker.providers.progress import Unfinished

TOKENS_OF_AN_IMAGE = 1600
"""Of one as large as the models of most generations look at; larger ones are scaled down."""

TOKENS_OF_A_PDF = 3000
"""Of one page, at the upper end of the documented range; the number of pages is unknown before the call."""

_DATED = re.compile(r"-\d{8}$")
_LONG = "long_"


def cost_of(table: PriceTable, model: Any, usage: Mapping[str, Any]) -> Decimal | None:
    """Price the `usage` of an answer; None where a price or a count is missing, or something is charged that is not in the table."""
    prices = table.prices_of(model, _DATED)
    given, made = count(usage, "input_tokens"), count(usage, "output_tokens")
    if prices is None or given is None or made is None or _has_surcharge(usage):
        return None
    tokens = {"input": given, "output": made, **_cached(usage)}
    prices = _banded(prices, sum(tokens.values()) - made)
    if any(number and kind not in prices for kind, number in tokens.items()):
        return None
    return sum((number * prices[kind] for kind, number in tokens.items() if number), Decimal(0)) / MILLION


def estimate(table: PriceTable, payload: Mapping[str, Any]) -> Decimal | None:
    """Estimate the highest cost of a call: a token for four characters, 1,600 for an image, 3,000 for a PDF, all of `max_tokens`."""
    usage = estimate_usage(payload)
    return None if usage is None else cost_of(table, payload.get("model"), usage)


def estimate_usage(payload: Mapping[str, Any]) -> dict[str, int] | None:
    """Estimate the highest usage of a message; None without `max_tokens`."""
    most = payload.get("max_tokens")
    if not isinstance(most, int) or most < 0:
        return None
    tools = len(json.dumps(payload.get("tools", []))) // CHARACTERS_OF_A_TOKEN
    given = _tokens(payload.get("system")) + _tokens(payload.get("messages")) + tools
    return {"input_tokens": given, "output_tokens": most}


def spent(table: PriceTable, call: Unfinished) -> Spent:
    """Return the cost of a message that was ended early: reported counts, and estimates by length for the missing ones.

    A message that did not stream is assumed to go on at the server, so it has its highest cost.
    """
    payload = call.payload or {}
    if payload.get("stream") is True:
        payload = {**payload, "max_tokens": -(-call.characters // CHARACTERS_OF_A_TOKEN)}
    estimated = estimate_usage(payload) or {}
    usage = {**estimated, **call.usage}
    is_told = estimated.keys() <= call.usage.keys()
    return Spent(usage=usage, cost=cost_of(table, payload.get("model"), usage), estimated=not is_told)


def _has_surcharge(usage: Mapping[str, Any]) -> bool:
    tools = usage.get("server_tool_use")
    return usage.get("speed") == "fast" or (isinstance(tools, Mapping) and any(tools.values()))


def _banded(prices: Prices, prompt_tokens: int) -> Prices:
    """Return the prices that hold for a prompt of that length."""
    if "long_prompt" not in prices or prompt_tokens <= prices["long_prompt"]:
        return prices
    return {kind.removeprefix(_LONG): price for kind, price in prices.items() if kind.startswith(_LONG)}


def _cached(usage: Mapping[str, Any]) -> dict[str, int]:
    """Count the tokens that were written to the cache and read from it; `input_tokens` are those beside them."""
    kept = usage.get("cache_creation")
    hour = count(kept, "ephemeral_1h_input_tokens") or 0 if isinstance(kept, Mapping) else 0
    written = count(usage, "cache_creation_input_tokens") or 0
    return {
        "cache_write_1h": hour,
        "cache_write_5m": max(0, written - hour),
        "cache_read": count(usage, "cache_read_input_tokens") or 0,
    }


def _tokens(value: Any) -> int:
    match value:
        case str():
            return len(value) // CHARACTERS_OF_A_TOKEN
        case {"type": "image"}:
            return TOKENS_OF_AN_IMAGE
        case {"type": "document"}:
            return TOKENS_OF_A_PDF
        case Mapping():
            return sum(map(_tokens, value.values()))
        case list():
            return sum(map(_tokens, value))
    return 0
