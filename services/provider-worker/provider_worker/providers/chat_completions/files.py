"""Files on their way into a chat completion: the parts of messages that name an artifact carry its bytes in the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider_worker.ports import TenantArtifacts
from provider_worker.providers.files import PREFIX, data_url, in_messages, read, read_text


async def with_files(payload: Mapping[str, Any], artifacts: TenantArtifacts) -> dict[str, Any]:
    """Return the payload with the files that its messages name. Raises ProviderError when one is gone."""

    async def fill(part: Any) -> Any:
        match part:
            case {"type": "image_url", "image_url": {"url": str(ref)} as inner} if ref.startswith(PREFIX):
                return {**part, "image_url": {**inner, "url": data_url(*await read(ref, artifacts))}}
            case {"type": "file", "file": {"file_data": str(ref)} as inner} if ref.startswith(PREFIX):
                return {**part, "file": {**inner, "file_data": data_url(*await read(ref, artifacts))}}
            case {"type": "text", "text": str(ref)} if ref.startswith(PREFIX):
                return {**part, "text": await read_text(ref, artifacts)}
        return part

    return await in_messages(payload, fill)
