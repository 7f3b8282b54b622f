"""What images of OpenAI's models are likely to cost, by a table of prices. Chats are priced where their protocol is."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.providers.call import Spent
from provider_worker.providers.chat_completions.prices import cost_of
from provider_worker.providers.pricing import CHARACTERS_OF_A_TOKEN, PriceTable
from provider_worker.providers.progress import Unfinished

TOKENS_OF_AN_IMAGE = {"low": 272, "medium": 1056, "high": 4160}
"""Output tokens of a square image of 1024 pixels, as OpenAI documents them for its first image model."""


def estimate_image(table: PriceTable, payload: Mapping[str, Any]) -> Decimal | None:
    """Estimate an image generation by the prompt's length, the number of images and their quality."""
    return cost_of(table, payload.get("model"), estimate_image_usage(payload))


def estimate_image_usage(payload: Mapping[str, Any]) -> dict[str, int]:
    """Estimate what an image generation will say of its usage."""
    number = payload.get("n")
    tokens = TOKENS_OF_AN_IMAGE.get(str(payload.get("quality")), TOKENS_OF_AN_IMAGE["medium"])
    made = tokens * (number if isinstance(number, int) and number > 0 else 1)
    given = len(str(payload.get("prompt", ""))) // CHARACTERS_OF_A_TOKEN
    return {"input_tokens": given, "output_tokens": made}


def spent_on_image(table: PriceTable, call: Unfinished) -> Spent:
    """Say what an image generation costs that was ended early: it is taken to go on unheard."""
    if call.payload is None:
        return Spent()
    usage = estimate_image_usage(call.payload)
    return Spent(usage=usage, cost=cost_of(table, call.payload.get("model"), usage), estimated=True)
