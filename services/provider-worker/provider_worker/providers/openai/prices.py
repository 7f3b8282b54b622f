"""What calls of OpenAI's models cost, by their usage and a table of prices. A model that is not in it has no known price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from provider_worker.providers.pricing import Prices, PriceTable

CHARACTERS_OF_A_TOKEN = 4
USUAL_ANSWER_TOKENS = 500
TOKENS_OF_AN_INPUT_IMAGE = 800
TOKENS_OF_AN_IMAGE = {"low": 272, "medium": 1056, "high": 4160}
"""Output tokens of a square image of 1024 pixels, as OpenAI documents them for its first image model."""

_MILLION = Decimal(1_000_000)
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def prices_of(table: PriceTable, model: Any) -> Prices | None:
    """Return the prices of a model, dated snapshots included, or None."""
    return table.models.get(model) or table.models.get(_DATED.sub("", model)) if isinstance(model, str) else None


def cost_of(table: PriceTable, model: Any, usage: Mapping[str, Any]) -> Decimal | None:
    """Price the `usage` of an answer, of either protocol; None where a price or a count is missing."""
    prices = prices_of(table, model)
    given = _count(usage, "prompt_tokens", "input_tokens")
    made = _count(usage, "completion_tokens", "output_tokens")
    if prices is None or given is None or made is None:
        return None
    cached = _count(_details(usage), "cached_tokens") or 0
    pictures = _count(_details(usage), "image_tokens") or 0
    plain = max(0, given - cached - pictures)
    total = plain * prices["input"] + made * prices["output"]
    total += cached * prices.get("cached_input", prices["input"]) + pictures * prices.get(
        "image_input", prices["input"]
    )
    return total / _MILLION


def estimate_chat(table: PriceTable, payload: Mapping[str, Any]) -> Decimal | None:
    """Estimate a chat completion: a token for four characters, 800 for an image, an answer as long as it may be, or 500 tokens."""
    characters, images = _measure(payload.get("messages"))
    most = payload.get("max_completion_tokens", payload.get("max_tokens"))
    answer = most if isinstance(most, int) and most > 0 else USUAL_ANSWER_TOKENS
    given = characters // CHARACTERS_OF_A_TOKEN + images * TOKENS_OF_AN_INPUT_IMAGE
    return cost_of(table, payload.get("model"), {"prompt_tokens": given, "completion_tokens": answer})


def estimate_image(table: PriceTable, payload: Mapping[str, Any]) -> Decimal | None:
    """Estimate an image generation by the prompt's length, the number of images and their quality."""
    number = payload.get("n")
    tokens = TOKENS_OF_AN_IMAGE.get(str(payload.get("quality")), TOKENS_OF_AN_IMAGE["medium"])
    made = tokens * (number if isinstance(number, int) and number > 0 else 1)
    given = len(str(payload.get("prompt", ""))) // CHARACTERS_OF_A_TOKEN
    return cost_of(table, payload.get("model"), {"input_tokens": given, "output_tokens": made})


def _measure(value: Any) -> tuple[int, int]:
    """Count the characters and the images in messages."""
    if isinstance(value, str):
        return len(value), 0
    if isinstance(value, Mapping) and value.get("type") == "image_url":
        return 0, 1
    children = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    measured = [_measure(child) for child in children]
    return sum(characters for characters, _ in measured), sum(images for _, images in measured)


def _details(usage: Mapping[str, Any]) -> Mapping[str, Any]:
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    return details if isinstance(details, Mapping) else {}


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    found = (usage.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and value >= 0), None)
