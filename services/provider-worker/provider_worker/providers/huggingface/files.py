"""Images on their way back: the bytes that HuggingFace answers with become an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.providers.call import Failure
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import ProviderError
from provider_worker.providers.files import image_type


async def keep_image(body: bytes, headers: Mapping[str, str], artifacts: TenantArtifacts) -> dict[str, Any]:
    """Return an answer that names the kept image by its ref. Raises ProviderError when the bytes are no image."""
    media_type = image_type(body)
    if media_type is None:
        said = headers.get("content-type", "bytes without a type")[:100]
        message = f"The server answered with {len(body)} bytes that are no image ({said})."
        raise ProviderError(Failure(code="malformed_response" if body else "empty_response", message=message))
    return {"image": await artifacts.keep(body, media_type), "media_type": media_type, "size": len(body)}
