"""Files on their way to Replicate and back: artifact refs become addresses in an input, outputs become artifact refs."""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import ProviderError
from provider_worker.providers.files import PREFIX, data_url, decoded, read
from provider_worker.providers.http.failures import MAX_RESPONSE_BYTES, of_size

if TYPE_CHECKING:
    from provider_worker.providers.replicate.client import ReplicateClient

INLINE_BYTES = 256_000
"""Replicate takes files up to this size in the input itself."""

MAX_OUTPUT_FILES = 100
_INLINE = re.compile(r"data:(?P<media_type>[\w.+-]+/[\w.+-]+)(;[\w.+=-]+)*;base64,")
_UNTOLD = ("", "application/octet-stream", "binary/octet-stream")


async def with_files(value: Any, client: ReplicateClient, artifacts: TenantArtifacts) -> Any:
    """Return an input with the files that it names: small ones in place, others uploaded. Raises ProviderError."""
    match value:
        case str() if value.startswith(PREFIX):
            return await _sent(value, client, artifacts)
        case dict():
            return {name: await with_files(item, client, artifacts) for name, item in value.items()}
        case list():
            return [await with_files(item, client, artifacts) for item in value]
    return value


async def _sent(ref: str, client: ReplicateClient, artifacts: TenantArtifacts) -> str:
    artifact, body = await read(ref, artifacts)
    if len(body) > INLINE_BYTES:
        return await client.upload(body, artifact.media_type)
    return data_url(artifact, body)


class OutputStore:
    """Brings the files of one output into the artifact store: so many, and so large in all, as an answer may be."""

    def __init__(self, client: ReplicateClient, artifacts: TenantArtifacts) -> None:
        self._client = client
        self._artifacts = artifacts
        self._files = 0
        self._bytes = 0

    async def keep(self, output: Any) -> Any:
        """Return an output whose files are kept and named by their refs. Raises ProviderError."""
        match output:
            case str() if inline := _INLINE.match(output):
                return await self._kept("", decoded(output[inline.end() :]), inline["media_type"])
            case str() if self._client.delivers(output):
                return await self._kept(output, *await self._fetched(output))
            case dict():
                return {name: await self.keep(item) for name, item in output.items()}
            case list():
                return [await self.keep(item) for item in output]
        return output

    async def _fetched(self, address: str) -> tuple[bytes, str]:
        try:
            return await self._client.download(address)
        except ProviderError as error:
            message = f"The prediction succeeded, but its output could not be fetched. {error.failure.message}"
            raise ProviderError(error.failure.changed({"message": message})) from error

    async def _kept(self, address: str, body: bytes, media_type: str) -> str:
        self._files += 1
        self._bytes += len(body)
        if self._files > MAX_OUTPUT_FILES or self._bytes > MAX_RESPONSE_BYTES:
            raise ProviderError(of_size())
        if media_type in _UNTOLD:
            media_type = mimetypes.guess_type(urlsplit(address).path)[0] or "application/octet-stream"
        return await self._artifacts.keep(body, media_type)
