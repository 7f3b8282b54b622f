"""Images on their way back from OpenAI: their bytes become artifacts, named by their refs."""

from __future__ import annotations

from typing import Any

from provider_worker.ports import TenantArtifacts
from provider_worker.providers.files import decoded, image_type


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
    return {**item, "b64_json": await artifacts.keep(body, image_type(body) or "application/octet-stream")}
