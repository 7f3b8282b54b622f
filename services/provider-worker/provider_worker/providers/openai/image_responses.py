"""Reading OpenAI's answers with images. Chats are read where their protocol is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.providers.call import Failure
from contracts.providers.signals import Signals
from provider_worker.providers.answer_content import ENDED, IMAGES
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.chat_completions.prices import cost_of
from provider_worker.providers.pricing import PriceTable


def audit_images(prices: PriceTable, payload: Mapping[str, Any], raw: Any) -> Audit:
    """Read an answer of the Images protocol. Raises ProviderError when there is no image in it."""
    data = raw.get("data") if isinstance(raw, dict) else None
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    images = [url for item in items if isinstance(url := item.get("b64_json") or item.get("url"), str)]
    if not images:
        raise ProviderError(Failure(code="empty_response", message="The server answered without an image."))
    revised = [item["revised_prompt"] for item in items if isinstance(item.get("revised_prompt"), str)]
    response = {"images": images, **({"revised_prompts": revised} if revised else {})}
    usage = raw["usage"] if isinstance(raw.get("usage"), dict) else {}
    cost = cost_of(prices, payload.get("model"), usage)
    return Audit(response, IMAGES, Signals(response_quality=ENDED), usage, cost)
