"""OpenAI's images: likely cost, bytes to artifacts, reading answers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from artifacts.media_type import UNKNOWN, detected_image
from contracts.providers.call import Failure, Spent
from contracts.providers.signals import Signals
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.answers.content import ENDED, IMAGES
from provider_worker.providers.base import Audit, Fragment, ProviderError
from provider_worker.providers.chat_completions.prices import cost_of, usage_in
from provider_worker.providers.files import decoded
from provider_worker.providers.pricing import CHARACTERS_OF_A_TOKEN, PriceTable
from provider_worker.providers.progress import Unfinished

TOKENS_OF_AN_IMAGE = {"low": 272, "medium": 1056, "high": 4160}
"""Output tokens of a square image of 1024 pixels, as OpenAI documents them for its first image model."""


def estimate_image(table: PriceTable, payload: Mapping[str, Any]) -> Decimal | None:
    """Estimate an image generation by the prompt's length, the number of images and their quality."""
    return cost_of(table, payload.get("model"), estimate_image_usage(payload))


def estimate_image_usage(payload: Mapping[str, Any]) -> dict[str, int]:
    """Estimate the usage of an image generation."""
    number = payload.get("n")
    tokens = TOKENS_OF_AN_IMAGE.get(str(payload.get("quality")), TOKENS_OF_AN_IMAGE["medium"])
    made = tokens * (number if isinstance(number, int) and number > 0 else 1)
    given = len(str(payload.get("prompt", ""))) // CHARACTERS_OF_A_TOKEN
    return {"input_tokens": given, "output_tokens": made}


def spent_on_image(table: PriceTable, call: Unfinished) -> Spent:
    """Return the cost of an image generation that was ended early: it is assumed to go on at the server."""
    if call.payload is None:
        return Spent()
    usage = estimate_image_usage(call.payload)
    return Spent(usage=usage, cost=cost_of(table, call.payload.get("model"), usage), estimated=True)


async def without_files(raw: Any, artifacts: TenantArtifacts) -> Any:
    """Return an Images answer whose images are kept as artifacts. Raises ProviderError when one is no base64."""
    data = raw.get("data") if isinstance(raw, dict) else None
    if not isinstance(data, list):
        return raw
    return {**raw, "data": [await _image(item, artifacts) for item in data]}


async def _image(item: Any, artifacts: TenantArtifacts) -> Any:
    if not isinstance(item, dict) or not isinstance(item.get("b64_json"), str):
        return item
    body = decoded(item["b64_json"])
    return {**item, "b64_json": await artifacts.keep(body, detected_image(body) or UNKNOWN)}


def received_images(table: PriceTable, call: Unfinished, raw: Any) -> Fragment:
    """Return what came of an image generation that failed, with the usage that the server told."""
    usage = usage_in(raw)
    return Fragment(raw=raw, usage=usage, cost=cost_of(table, call.model, usage))


def audit_images(prices: PriceTable, payload: Mapping[str, Any], raw: Any) -> Audit:
    """Read an answer of the Images protocol. Raises ProviderError when there is no image in it."""
    data = raw.get("data") if isinstance(raw, dict) else None
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    images = [url for item in items if isinstance(url := item.get("b64_json") or item.get("url"), str)]
    if not images:
        raise ProviderError(
            Failure(code="empty_response", message="The answer cannot be scored: there is no image in it.")
        )
    revised = [item["revised_prompt"] for item in items if isinstance(item.get("revised_prompt"), str)]
    response = {"images": images, **({"revised_prompts": revised} if revised else {})}
    usage = usage_in(raw)
    cost = cost_of(prices, payload.get("model"), usage)
    return Audit(response, IMAGES, Signals(response_quality=ENDED), usage, cost)
