"""Files on their way to OpenAI and back: artifact refs become bytes in a request, bytes become artifact refs in an answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from artifacts.store import Artifact
from contracts.work import Failure
from provider_worker.ports import Artifacts
from provider_worker.providers.base import ProviderError

_PREFIX = "artifact:"
_MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp", b"GIF8": "image/gif"}


async def with_files(payload: Mapping[str, Any], artifacts: Artifacts) -> dict[str, Any]:
    """Return the payload with the files that its messages name. Raises ProviderError when one is gone."""
    messages = payload.get("messages")
    if not isinstance(messages, list):
        return dict(payload)
    return {**payload, "messages": [await _message(message, artifacts) for message in messages]}


async def without_files(raw: Any, artifacts: Artifacts) -> Any:
    """Return an Images answer whose images are kept as artifacts and named by their refs."""
    data = raw.get("data") if isinstance(raw, dict) else None
    if not isinstance(data, list):
        return raw
    return {**raw, "data": [await _image(item, artifacts) for item in data]}


async def _message(message: Any, artifacts: Artifacts) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    return {**message, "content": [await _part(part, artifacts) for part in content]}


async def _part(part: Any, artifacts: Artifacts) -> Any:
    match part:
        case {"type": "image_url", "image_url": {"url": str(ref)} as inner} if ref.startswith(_PREFIX):
            return {**part, "image_url": {**inner, "url": _data_url(*await _read(ref, artifacts))}}
        case {"type": "file", "file": {"file_data": str(ref)} as inner} if ref.startswith(_PREFIX):
            return {**part, "file": {**inner, "file_data": _data_url(*await _read(ref, artifacts))}}
        case {"type": "text", "text": str(ref)} if ref.startswith(_PREFIX):
            _, body = await _read(ref, artifacts)
            return {**part, "text": body.decode(errors="replace")}
    return part


async def _read(ref: str, artifacts: Artifacts) -> tuple[Artifact, bytes]:
    found = await artifacts.read(ref)
    if found is None:
        message = f"The attachment {ref[:100]} is not in the artifact store. Nothing was called."
        raise ProviderError(Failure(code="artifact_missing", message=message))
    return found


def _data_url(artifact: Artifact, body: bytes) -> str:
    return f"data:{artifact.media_type};base64,{base64.b64encode(body).decode()}"


async def _image(item: Any, artifacts: Artifacts) -> Any:
    if not isinstance(item, dict) or not isinstance(item.get("b64_json"), str):
        return item
    try:
        body = base64.b64decode(item["b64_json"], validate=True)
    except binascii.Error as error:
        raise ProviderError(Failure(code="malformed_response", message="The server's image is not base64.")) from error
    media_type = next((kind for magic, kind in _MAGIC.items() if body.startswith(magic)), "application/octet-stream")
    return {**item, "b64_json": await artifacts.keep(body, media_type)}
