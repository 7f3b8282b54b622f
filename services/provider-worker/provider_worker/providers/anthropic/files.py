"""Files on their way to Anthropic: content blocks that name an artifact in a payload carry its bytes in the request."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from contracts.work import Failure, Issue
from provider_worker.ports import Artifacts
from provider_worker.providers.base import Attachment, ProviderError
from provider_worker.providers.validation import pointer

_PREFIX = "artifact:"
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_PDF = "application/pdf"
_READABLE = ("text/", "application/json", "application/xml", "application/yaml")


def block_of(index: int, attachment: Attachment) -> dict[str, Any]:
    """Return the content block of an attachment, with its ref where its bytes go. Raises ProviderError for what no block can carry."""
    url, kind = attachment.url, attachment.media_type
    if attachment.is_link:
        is_pdf = url.split("?", 1)[0].lower().endswith(".pdf")
        return {"type": "document" if is_pdf else "image", "source": {"type": "url", "url": url}}
    if kind in _IMAGES:
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": url}}
    if kind == _PDF:
        return {"type": "document", "source": {"type": "base64", "media_type": _PDF, "data": url}}
    if kind is not None and kind.startswith(_READABLE):
        return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": url}}
    message = f"The attachment cannot be sent: {kind} is neither a JPEG, PNG, GIF or WebP image, nor a PDF, nor text."
    issue = Issue(code="attachment_unsupported", message=message, path=pointer(["attachments", index]))
    raise ProviderError(Failure(code="attachment_unsupported", message=message, issues=(issue,)))


async def with_files(payload: Mapping[str, Any], artifacts: Artifacts) -> dict[str, Any]:
    """Return the payload with the files that its messages name. Raises ProviderError when one is gone."""
    messages = payload.get("messages")
    if not isinstance(messages, list):
        return dict(payload)
    return {**payload, "messages": [await _message(message, artifacts) for message in messages]}


async def _message(message: Any, artifacts: Artifacts) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    return {**message, "content": [await _block(block, artifacts) for block in content]}


async def _block(block: Any, artifacts: Artifacts) -> Any:
    match block:
        case {"source": {"type": "base64", "data": str(ref)} as source} if ref.startswith(_PREFIX):
            return {**block, "source": {**source, "data": base64.b64encode(await _read(ref, artifacts)).decode()}}
        case {"source": {"type": "text", "data": str(ref)} as source} if ref.startswith(_PREFIX):
            return {**block, "source": {**source, "data": (await _read(ref, artifacts)).decode(errors="replace")}}
    return block


async def _read(ref: str, artifacts: Artifacts) -> bytes:
    found = await artifacts.read(ref)
    if found is None:
        message = f"The attachment {ref[:100]} is not in the artifact store. Nothing was called."
        raise ProviderError(Failure(code="artifact_missing", message=message))
    return found[1]
