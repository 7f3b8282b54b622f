"""The cost of chat completions, by usage and a table of prices. A model that is not in the table has no known price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.providers.call import Spent
from provider_worker.providers.payload_schema import at
from provider_worker.providers.pricing import CHARACTERS_OF_A_TOKEN, MILLION, PriceTable, count, told_cost
from provider_worker.providers.progress import Unfinished

USUAL_ANSWER_TOKENS = 500
TOKENS_OF_AN_INPUT_IMAGE = 800

_GIVEN = ("messages", "instructions", "input")
_MOST = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_IMAGES = ("image_url", "input_image")
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def cost_of(table: PriceTable, model: Any, usage: Mapping[str, Any]) -> Decimal | None:
    """Price the `usage` of an answer, in the words of any of OpenAI's protocols; None where a price or a count is missing.

    A cost that the server itself tells goes before all prices.
    """
    if (told := told_cost(usage)) is not None:
        return told
    prices = table.prices_of(model, _DATED)
    given = count(usage, "prompt_tokens", "input_tokens")
    made = count(usage, "completion_tokens", "output_tokens")
    if prices is None or given is None or made is None:
        return None
    cached = count(_details(usage), "cached_tokens") or 0
    pictures = count(_details(usage), "image_tokens") or 0
    total = max(0, given - cached - pictures) * prices["input"] + made * prices["output"]
    total += cached * prices.get("cached_input", prices["input"])
    total += pictures * prices.get("image_input", prices["input"])
    return total / MILLION


def usage_in(raw: Any) -> dict[str, Any]:
    """Return the usage that an answer reports, in any of the places where servers put it; empty where it reports none."""
    places: tuple[tuple[str | int, ...], ...] = (("usage",), ("x_groq", "usage"), ("choices", 0, "usage"))
    found = (at(raw, place) for place in places)
    return next((dict(usage) for usage in found if isinstance(usage, dict) and usage), {})


def estimate_chat(table: PriceTable, payload: Mapping[str, Any]) -> Decimal | None:
    """Estimate a chat completion: a token for four characters, 800 for an image, an answer as long as it may be, or 500 tokens."""
    return cost_of(table, payload.get("model"), estimate_usage(payload))


def estimate_usage(payload: Mapping[str, Any]) -> dict[str, int]:
    """Estimate the usage of a chat completion or a response."""
    most = next((payload[name] for name in _MOST if name in payload), None)
    answer = most if isinstance(most, int) and most > 0 else USUAL_ANSWER_TOKENS
    return {"prompt_tokens": _given(payload), "completion_tokens": answer}


def spent_on(table: PriceTable, call: Unfinished) -> Spent:
    """Return the cost of a chat or a response that was ended early, by its reported usage or else by an estimate.

    The estimate is a token for four characters sent and received. An unstreamed answer is assumed to go on at the server.
    """
    payload = call.payload
    model = call.model or (payload or {}).get("model")
    if call.usage:
        return Spent(usage=dict(call.usage), cost=cost_of(table, model, call.usage))
    if payload is None:
        return Spent()
    usage = estimate_usage(payload)
    if payload.get("stream") is True:
        usage["completion_tokens"] = -(-call.characters // CHARACTERS_OF_A_TOKEN)
    return Spent(usage=usage, cost=cost_of(table, model, usage), estimated=True)


def _given(payload: Mapping[str, Any]) -> int:
    characters, images = _measure([payload.get(name) for name in _GIVEN])
    return characters // CHARACTERS_OF_A_TOKEN + images * TOKENS_OF_AN_INPUT_IMAGE


def _measure(value: Any) -> tuple[int, int]:
    """Count the characters and the images in messages."""
    if isinstance(value, str):
        return len(value), 0
    if isinstance(value, Mapping) and value.get("type") in _IMAGES:
        return 0, 1
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    measured = [_measure(child) for child in children]
    return sum(characters for characters, _ in measured), sum(images for _, images in measured)


def _details(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    return details if isinstance(details, Mapping) else {}
