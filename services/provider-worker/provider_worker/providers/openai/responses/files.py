"""Files on their way into a response: the parts of its input that name an artifact carry its bytes in the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provider_worker.ports import TenantArtifacts
from provider_worker.providers.files import PREFIX, data_url, in_messages, read, read_text


async def with_files(payload: Mapping[str, Any], artifacts: TenantArtifacts) -> dict[str, Any]:
    """Return the payload with the files that its input names. Raises ProviderError when one is gone."""

    async def fill(part: Any) -> Any:
        match part:
            case {"type": "input_image", "image_url": str(ref)} if ref.startswith(PREFIX):
                return {**part, "image_url": data_url(*await read(ref, artifacts))}
            case {"type": "input_file", "file_data": str(ref)} if ref.startswith(PREFIX):
                return {**part, "file_data": data_url(*await read(ref, artifacts))}
            case {"type": "input_text", "text": str(ref)} if ref.startswith(PREFIX):
                return {**part, "text": await read_text(ref, artifacts)}
        return part

    return await in_messages(payload, fill, "input")
