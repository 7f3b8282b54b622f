"""Files on their way to Anthropic: content blocks that name an artifact in a payload carry its bytes in the request."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import Attachment
from provider_worker.providers.files import PREFIX, in_messages, is_readable, read, read_text, unsupported

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_PDF = "application/pdf"


def block_of(index: int, attachment: Attachment) -> dict[str, Any]:
    """Return the content block of an attachment, with its ref where its bytes go. Raises ProviderError for a type that no block can carry."""
    url, kind = attachment.url, attachment.media_type
    if attachment.is_link:
        is_pdf = url.split("?", 1)[0].lower().endswith(".pdf")
        return {"type": "document" if is_pdf else "image", "source": {"type": "url", "url": url}}
    if kind in _IMAGES:
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": url}}
    if kind == _PDF:
        return {"type": "document", "source": {"type": "base64", "media_type": _PDF, "data": url}}
    if kind is not None and is_readable(kind):
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": url}}
    raise unsupported(index, f"{kind} is neither a JPEG, PNG, GIF or WebP image, nor a PDF, nor text")


async def with_files(payload: Mapping[str, Any], artifacts: TenantArtifacts) -> dict[str, Any]:
    """Return the payload with the files that its messages name. Raises ProviderError when one is gone."""

    async def fill(block: Any) -> Any:
        match block:
            case {"source": {"type": "base64", "data": str(ref)} as source} if ref.startswith(PREFIX):
                _, body = await read(ref, artifacts)
                return {**block, "source": {**source, "data": base64.b64encode(body).decode()}}
            case {"source": {"type": "text", "data": str(ref)} as source} if ref.startswith(PREFIX):
                return {**block, "source": {**source, "data": await read_text(ref, artifacts)}}
        return block

    return await in_messages(payload, fill)
